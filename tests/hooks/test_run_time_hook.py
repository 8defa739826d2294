"""How long a run takes is said after its first steps."""

import re
import time

import pytest
from helpers.toy_runs import toy_runner
from mmengine.hooks import Hook

from convnext_dense.hooks import RunTimeHook


class SlowStart(Hook):
    """Makes the first steps slow, and the others take 20 ms."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        time.sleep(0.2 if runner.iter < 3 else 0.02)


def shown(capsys, tmp_path, samples: int, **options) -> str:
    toy_runner(tmp_path, [SlowStart(), RunTimeHook()], samples=[None] * samples, **options).train()
    return capsys.readouterr().out


class TestRunTime:
    def test_is_said_once_and_leaves_out_the_first_steps(self, tmp_path, capsys):
        out = shown(capsys, tmp_path, 24, by_epoch=True)
        (line,) = [line for line in out.splitlines() if 'run time' in line]
        steps, seconds = re.search(r'for the (\d+) steps to go \((\S+) s a step\)', line).groups()
        assert int(steps) == 16
        assert float(seconds) == pytest.approx(0.03, abs=0.015)

    def test_of_few_steps_is_not_said(self, tmp_path, capsys):
        assert 'run time' not in shown(capsys, tmp_path, 8)
