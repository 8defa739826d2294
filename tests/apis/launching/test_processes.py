"""Commands that are started together end together."""

import subprocess

import pytest

from convnext_dense.apis.launching.processes import Command, launch
from convnext_dense.errors import RunError


@pytest.fixture
def started(monkeypatch):
    """The processes that were started, as a list that grows."""
    processes = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            processes.append((self, kwargs['env']))

    monkeypatch.setattr(subprocess, 'Popen', Recorded)
    return processes


def test_commands_run_at_the_same_time_and_share_the_cores(tmp_path, monkeypatch, started):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr('os.cpu_count', lambda: 8)
    lines = {'one': [], 'two': []}
    commands = [Command(['--version'], tmp_path / f'{name}.log', on_line=lines[name].append) for name in lines]
    seconds = launch(*commands)
    assert len(seconds) == len(started) == 2
    assert [environment['OMP_NUM_THREADS'] for _, environment in started] == ['4', '4']
    assert [len(each) for each in lines.values()] == [1, 1]


def test_one_that_fails_ends_the_other(tmp_path, started):
    fails = Command(['train', 'no-such-config'], tmp_path / 'train.log')
    endless = Command(
        ['demo', '--only-data', '--num-train', '1000000', '--out', str(tmp_path / 'data')], tmp_path / 'data.log'
    )
    with pytest.raises(RunError, match=r'(?s)train stopped with status 2.*there is no config no-such-config'):
        launch(fails, endless)
    assert [process.poll() is None for process, _ in started] == [False, False]
