"""Runs that fail: what they print, how they exit, and what they leave."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options

from convnext_dense.errors import STOPPED

DIVERGING = [
    'optim_wrapper.clip_grad=None',
    'optim_wrapper.optimizer.lr=1e10',
    'param_scheduler=[]',
    'default_hooks.checkpoint.interval=1',
]


class TestDivergence:
    @pytest.mark.parametrize(
        ('config', 'options'), [(DETECTOR, detector_options(2)), (SEGMENTER, segmenter_options(6))], ids=['det', 'seg']
    )
    def test_ends_a_run_before_it_is_scored(self, command, tmp_path, config, options):
        result = command('train', config, '--work-dir', tmp_path, '--cfg-options', *options, *DIVERGING)
        assert result.status == 1
        assert result.error.startswith('error: training diverged: ')
        assert '(val)' not in result.out
        for file in tmp_path.glob('*.pth'):
            weights = torch.load(file)['state_dict'].values()
            assert all(tensor.isfinite().all() for tensor in weights), file

    def test_a_checkpoint_of_nan_is_not_tested(self, segmenter, command, tmp_path):
        checkpoint = torch.load(segmenter.checkpoint)
        name, weight = next(iter(checkpoint['state_dict'].items()))
        weight.fill_(float('nan'))
        torch.save(checkpoint, tmp_path / 'nan.pth')
        result = command('test', SEGMENTER, tmp_path / 'nan.pth', '--work-dir', tmp_path)
        assert result.status == 2
        assert re.search(rf'nan.pth has [0-9,]+ NaN or infinite .*{re.escape(name)}', result.error)


class TestNothingToTrain:
    @pytest.mark.parametrize('flag', ['--backbone', '--resume', '--work-dir'])
    def test_an_empty_value_is_a_mistake(self, command, flag):
        result = command('train', SEGMENTER, f'{flag}=')
        assert result.status == 2
        assert result.error.startswith(f'error: argument {flag}: it is empty')

    def test_no_steps_are_a_mistake(self, command, tmp_path):
        options = [*segmenter_options(1), 'train_cfg.max_iters=-5']
        result = command('train', SEGMENTER, '--work-dir', tmp_path, '--cfg-options', *options)
        assert result.status == 2
        assert 'train_cfg.max_iters: it is -5' in result.error


class TestTheTerminal:
    @pytest.mark.parametrize('task', ['detector', 'segmenter'])
    def test_has_a_short_summary_before_the_first_step(self, trained):
        lines = trained.result.out.splitlines()
        (first,) = [i for i, line in enumerate(lines) if '(train)' in line][:1]
        assert first <= 18, '\n'.join(lines[:first])
        for name in (
            'device',
            'config',
            'model',
            'backbone',
            'train data',
            'classes',
            'schedule',
            'work dir',
            'log file',
        ):
            assert any(line.strip().startswith(name) for line in lines[:first]), name
        # Others may have tested it since.
        log = min(trained.work_dir.rglob('*.log'))
        assert 'Hooks will be executed' in log.read_text()


@pytest.mark.e2e
def test_a_request_to_terminate_ends_the_loaders_workers(demo_data, tmp_path):
    arguments = [
        'train',
        str(DETECTOR),
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        'default_hooks.logger.interval=1',
    ]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    log = (tmp_path / 'out').open('w')
    training = subprocess.Popen(
        [sys.executable, '-m', 'convnext_dense', *arguments],
        cwd=demo_data, env=environment, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while '(train)' not in (tmp_path / 'out').read_text():
        assert training.poll() is None and time.monotonic() < deadline, (tmp_path / 'out').read_text()[-2000:]
        time.sleep(0.2)
    training.send_signal(signal.SIGTERM)
    assert training.wait(30) == STOPPED
    deadline = time.monotonic() + 10
    while _members(training.pid):
        assert time.monotonic() < deadline, _members(training.pid)
        time.sleep(0.2)


def _members(session: int) -> list[str]:
    """Return the processes of a session that run."""
    listed = subprocess.run(['ps', '-s', str(session), '-o', 'pid=,stat='], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if ' Z' not in line]
