"""The stress test itself: that it notices what it looks for."""

import json
import os
import subprocess
import sys

import pytest
from helpers.demo_runs import ROOT

from benchmarks.stress import command
from benchmarks.stress.children import open_files, resident_bytes
from benchmarks.stress.kills import EQUAL, _difference
from benchmarks.stress.soak import Sample, slope


class TestSlope:
    def test_is_that_within_processes(self):
        samples = [Sample(process, step, 1000 * process + 3 * step, 5, 2) for process in (1, 2) for step in range(100)]
        assert slope(samples, 'resident').value == pytest.approx(300)
        assert slope(samples, 'files') == (0, 0)

    def test_of_noise_is_within_its_error(self):
        samples = [Sample(1, step, 1000 + (-1) ** step * 50, 0, 0) for step in range(1000)]
        value, error = slope(samples, 'resident')
        assert abs(value) < 2 * error


class TestDifference:
    def test_is_found_in_the_last_bit(self):
        import torch

        weights = {'a': torch.ones(3)}
        others = {'a': torch.nextafter(weights['a'], torch.tensor(2.0))}
        assert not _difference(weights, {'a': torch.ones(3)})
        assert '1 of 1 tensors differ, by 1.19e-07' in _difference(weights, others)


class TestOfAProcess:
    def test_that_runs_has_memory_and_files(self):
        assert resident_bytes(os.getpid()) > 2**20
        assert open_files(os.getpid()) > 2

    def test_that_has_ended_has_no_memory(self):
        child = subprocess.Popen(['true'])
        # It stays a zombie until it is asked for its exit code.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessLookupError):
            resident_bytes(child.pid)
        child.wait()


@pytest.mark.full
@pytest.mark.parametrize('task', command.TASKS)
def test_a_few_kills_and_a_short_soak(task, tmp_path):
    environment = {**os.environ, 'TRITON_INTERPRET': '0'}
    words = ['--tasks', task, '--kills', '4', '--soak', '200', '--out', tmp_path / 'out.json']
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / 'tools/stress.py', *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    kills, soak = json.loads((tmp_path / 'out.json').read_text())['cases']
    assert kills['survived'] == kills['kills'] == 4
    assert kills['results'] == [EQUAL] * kills['runs']
    assert kills['most_steps_lost'] <= kills['checkpoint_interval']
    assert soak['steps'] == 200
    for figures in (kills, soak):
        assert figures['leaked_processes'] == figures['leaked_shared_memory'] == 0
    assert kills['broken_files'] == 0
