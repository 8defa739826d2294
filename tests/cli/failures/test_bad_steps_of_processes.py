"""Steps that are not finite in one of two processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.demo_runs import DETECTOR, ROOT, SEGMENTER, detector_options, segmenter_options

from convnext_dense.apis import replay
from convnext_dense.training.steps.recorded_step import read_step

pytestmark = pytest.mark.e2e

# Gives the second process an image with NaN in these steps, and writes each process's weights at the end.
PLANTER = """
import math
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Planter(Hook):
    priority = 'VERY_HIGH'
    def __init__(self, steps):
        self.steps = steps
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if get_rank() == 1 and runner.iter + 1 in self.steps:
            images = data_batch['inputs']
            images[0] = images[0].float()
            images[0][0, 3, 3] = math.nan
    def after_train(self, runner):
        torch.save(runner.model.module.state_dict(), f'rank{get_rank()}.pth')
"""


@pytest.fixture
def run(tmp_path, demo_data):
    """Train a config in two processes, whose second has NaN in some steps."""
    (tmp_path / 'planter.py').write_text(PLANTER)
    (tmp_path / 'data').symlink_to(demo_data / 'data')

    def train(config, options, steps, change=''):
        child = tmp_path / 'child.py'
        child.write_text(
            f"_base_ = ['{config}']\n"
            "custom_imports = dict(imports=['convnext_dense', 'planter'])\n"
            f"custom_hooks = [dict(type='mmengine.Planter', steps={steps})]\n{change}"
        )
        dist = ['bash', ROOT / 'tools/dist_train.sh', child, '2', '--work-dir', tmp_path / 'run']
        return subprocess.run(
            [*dist, '--cfg-options', *options],
            cwd=tmp_path,
            env={
                **os.environ,
                'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
                'VIRTUAL_ENV': sys.prefix,
                'PYTHONPATH': os.pathsep.join([str(tmp_path), str(ROOT)]),
                'PORT': '29577',
                'CUDA_VISIBLE_DEVICES': '',
                'OMP_NUM_THREADS': '1',
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    return train


class TestOneProcess:
    @pytest.mark.parametrize(
        ('config', 'options', 'change'),
        [
            (DETECTOR, detector_options(2), ''),
            (SEGMENTER, segmenter_options(4), ''),
            (SEGMENTER, segmenter_options(4), 'optim_wrapper = dict(accumulative_counts=2)\n'),
        ],
        ids=['detector', 'segmenter', 'accumulated'],
    )
    def test_all_leave_the_update_out_and_stay_equal(self, run, tmp_path, config, options, change):
        result = run(config, options, [2], change)
        assert result.returncode == 0, result.stderr[-3000:]
        assert 'step 2 was left out: process 1: ' in result.stdout
        assert 'the first output that is not finite is that of data_preprocessor' in result.stdout
        first, second = (torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1))
        for name, weight in first.items():
            assert weight.isfinite().all(), name
            if 'running' not in name:
                assert torch.equal(weight, second[name]), name
        (file,) = (tmp_path / 'run').glob('*.pt')
        assert file.name == 'non_finite_step_2_process_1.pt'
        assert read_step(file).process == [1, 2]
        replayed = replay(file)
        assert not replayed.different_losses
        assert 'data_preprocessor' in replayed.diagnosis.module

    def test_three_in_a_row_end_all(self, run, tmp_path):
        result = run(SEGMENTER, segmenter_options(6), [2, 3, 4])
        assert result.returncode == 1
        rank = r'error: rank \d \(process \d+ on \S+\): '
        diverged = 'training diverged: process 1: decode.loss_ce, aux.loss_ce are nan at step 4; .* in a row'
        assert re.search(f'^{rank}{diverged}', result.stderr, re.MULTILINE)
        assert 'These are 3 such steps in a row.' in result.stderr
