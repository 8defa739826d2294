"""tools/dist_train.sh with two processes on the CPU, and the scripts' mistakes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.demo_runs import DETECTOR, ROOT, SEGMENTER, detector_options, segmenter_options

from convnext_dense.cli.main import STOPPED

pytestmark = pytest.mark.e2e

# Writes each rank's weights and the images it saw; the config's custom_imports bring it in.
RECORDER = """
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Recorder(Hook):
    seen = []
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen += [sample.img_path for sample in data_batch['data_samples']]
    def after_train(self, runner):
        torch.save(dict(weights=runner.model.module.state_dict(), seen=self.seen), f'rank{get_rank()}.pth')
"""


def dist_train(folder, config, options, port):
    """Train with two processes in a folder, whose modules can be imported."""
    return subprocess.run(
        ['bash', ROOT / 'tools/dist_train.sh', config, '2', '--work-dir', folder / 'run', '--cfg-options', *options],
        cwd=folder,
        env={
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
            'VIRTUAL_ENV': sys.prefix,
            'PYTHONPATH': os.pathsep.join([str(folder), *sys.path]),
            'PORT': port,
            'CUDA_VISIBLE_DEVICES': '',
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
        timeout=600,
    )


SYNC_BN = "model = dict(decode_head=dict(norm_cfg=dict(_delete_=True, type='SyncBN')))\n"


@pytest.mark.parametrize(
    ('config', 'options', 'change'),
    [
        (DETECTOR, detector_options(1), ''),
        (SEGMENTER, segmenter_options(2), ''),
        (SEGMENTER, segmenter_options(2), SYNC_BN),
    ],
    ids=['detector', 'segmenter', 'segmenter with SyncBN'],
)
def test_ranks_hold_the_same_weights_and_see_different_images(tmp_path, demo_data, config, options, change):
    (tmp_path / 'recorder.py').write_text(RECORDER)
    (tmp_path / 'data').symlink_to(demo_data / 'data')
    child = tmp_path / 'child.py'
    child.write_text(
        f"_base_ = ['{config}']\n"
        "custom_imports = dict(imports=['convnext_dense', 'recorder'])\n"
        f"custom_hooks = [dict(type='mmengine.Recorder')]\n{change}"
    )
    result = dist_train(tmp_path, child, options, '29561')
    assert result.returncode == 0, result.stderr[-3000:]
    first, second = (torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1))
    for name, tensor in first['weights'].items():
        # BN's running statistics are each rank's own.
        if 'running_' not in name:
            assert torch.equal(tensor, second['weights'][name]), name
    assert first['seen']
    assert len(first['seen']) == len(second['seen'])
    assert not set(first['seen']) & set(second['seen'])


# Asks the second process to stop, in its third step.
STOPPER = """
import os, signal
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Stopper(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if get_rank() == 1 and runner.iter == 2:
            os.kill({target}, signal.{name})
"""


@pytest.mark.parametrize(('target', 'name'), [('os.getpid()', 'SIGUSR1'), ('os.getppid()', 'SIGTERM')])
def test_one_process_that_is_asked_to_stop_stops_all_after_the_same_step(tmp_path, demo_data, target, name):
    (tmp_path / 'stopper.py').write_text(STOPPER.format(target=target, name=name))
    (tmp_path / 'data').symlink_to(demo_data / 'data')
    child = tmp_path / 'child.py'
    child.write_text(
        f"_base_ = ['{SEGMENTER}']\n"
        "custom_imports = dict(imports=['convnext_dense', 'stopper'])\n"
        "custom_hooks = [dict(type='mmengine.Stopper')]\n"
    )
    result = dist_train(tmp_path, child, segmenter_options(200), '29563')
    assert result.returncode == STOPPED, result.stderr[-3000:]
    (said,) = [line for line in result.stderr.splitlines() if line.startswith('stopped: ')]
    step = int(re.search(r'after step (\d+);', said)[1])
    assert step == 3 if name == 'SIGUSR1' else step >= 3
    assert len(list((tmp_path / 'run').glob(f'*_{step}.pth'))) == 1


@pytest.mark.parametrize('processes', ['0', 'two'])
def test_a_wrong_number_of_processes_is_named(processes):
    result = subprocess.run(['bash', ROOT / 'tools/dist_train.sh', DETECTOR, processes], capture_output=True, text=True)
    assert result.returncode == 2
    assert f"must be a positive integer; got '{processes}'" in result.stderr


def test_a_wrong_config_is_one_line():
    result = subprocess.run(['bash', ROOT / 'tools/dist_train.sh', 'nope.py', '2'], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == 'error: config: there is no file nope.py.\n'


def test_usage_is_printed_without_arguments():
    for script in ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'):
        result = subprocess.run(['bash', ROOT / 'tools' / script], capture_output=True, text=True)
        assert result.returncode == 2
        assert re.match(r'usage: bash .*CONFIG', result.stderr)
