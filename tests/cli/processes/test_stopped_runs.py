"""`convnext-dense train`, when a signal asks it to stop."""

import os
import signal

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options

from convnext_dense.cli.main import STOPPED
from convnext_dense.hooks.health.stop_hook import StopHook


@pytest.mark.parametrize(
    ('config', 'options'),
    [
        pytest.param(DETECTOR, detector_options(1), marks=pytest.mark.full),
        (SEGMENTER, segmenter_options(4)),
    ],
    ids=['detector', 'segmenter'],
)
def test_says_where_it_is_and_resumes(config, options, command, tmp_path, monkeypatch):
    answer = StopHook.after_train_iter

    def ask_in_step_3(self, runner, *args, **kwargs):
        if runner.iter == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        answer(self, runner, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(StopHook, 'after_train_iter', ask_in_step_3)
        stopped = command('train', config, '--work-dir', tmp_path, '--cfg-options', *options)
    assert stopped.status == STOPPED
    assert stopped.err.splitlines()[-1] == (
        f'stopped: SIGTERM after step 3; resume goes on from {tmp_path / "stopped_iter_3.pth"}.'
    )
    # As after a crash before the name was written.
    (tmp_path / 'last_checkpoint').unlink()
    resumed = command('train', config, '--work-dir', tmp_path, '--resume', '--cfg-options', *options)
    assert resumed.status == 0, resumed.err[-3000:]
    assert f'resuming from {tmp_path / "stopped_iter_3.pth"}' in resumed.out
    assert 'iter: 3' in resumed.out
    assert not (tmp_path / 'stopped_iter_3.pth').exists()
