"""`--batch-size auto` in several processes: the smallest result of all counts."""

import os
import subprocess
import sys

import pytest
from helpers.demo_runs import DETECTOR, ROOT

SCRIPT = """
import os, sys
from unittest import mock
sys.path.insert(0, {tests!r})
import torch
import convnext_dense
from helpers.small_device import as_a_gpu, device_that_holds
from mmdet.models import MaskRCNN
from convnext_dense.apis.batch_size import find_batch_size
from convnext_dense.config import load_config

# As there is no GPU, mmengine cannot choose NCCL.
torch.distributed.init_process_group('gloo')
rank = int(os.environ['RANK'])
with as_a_gpu(), device_that_holds([4, 1][rank], MaskRCNN):
    cfg = load_config({config!r}, batch_size=find_batch_size, launcher='pytorch')
print(f'rank {{rank}} takes {{cfg.train_dataloader.batch_size}}, {{cfg.optim_wrapper.optimizer.lr:g}}', flush=True)
"""


@pytest.mark.e2e
def test_all_processes_take_the_smallest(demo_data, tmp_path):
    script = tmp_path / 'search.py'
    script.write_text(SCRIPT.format(tests=str(ROOT / 'tests'), config=str(DETECTOR)))
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', *launcher, str(script)],
        cwd=demo_data,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    # The recipe is for 16 images: two processes with one image each have an eighth of its rate.
    for rank in (0, 1):
        assert f'rank {rank} takes 1, 0.00025' in result.stdout
