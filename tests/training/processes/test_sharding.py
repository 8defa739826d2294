"""Processes that share a model's parameters train as one does on their joint batch, and resume."""

from types import SimpleNamespace

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER
from helpers.several.joint_batch import ATSS, DETECTION, SEGMENTATION, SYNC_BN, Case
from helpers.several.processes import run_in_processes
from mmengine.config import Config
from torch import nn

from convnext_dense.errors import UsageError
from convnext_dense.training.processes.sharded_runner import ShardedTraining
from convnext_dense.weights.storage.files import read_file

SHARDED = "model_wrapper_cfg = dict(type='convnext_dense.FullyShardedModel')\n"


@pytest.mark.e2e
def test_two_processes_train_save_and_resume_as_one(command, demo_data, tmp_path):
    detector = Case(tmp_path, 'detector', ATSS + SHARDED, DETECTOR, [*DETECTION, 'model.backbone.use_grn=True'])
    segmenter = Case(
        tmp_path,
        'segmenter',
        SYNC_BN + SHARDED,
        SEGMENTER,
        [
            *(option for option in SEGMENTATION if 'checkpoint' not in option),
            *('default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=-1'),
            *('model.backbone.with_cp=True', 'optim_wrapper.accumulative_counts=2', 'train_cfg.val_interval=3'),
        ],
    )
    # Stopped after three steps of four, in the middle of an update, as a kill leaves it.
    stopped = segmenter.command(2)
    stopped[3] = segmenter.folder / 'resumed'
    checkpoint = segmenter.folder / '2' / 'iter_3.pth'
    commands = [detector.command(2), segmenter.command(2), [*stopped[:2], '--resume', checkpoint, *stopped[2:]]]
    run_in_processes(2, demo_data, commands, tmp_path)
    for case in (detector, segmenter):
        assert command(*case.command(1)).status == 0
        case.check_equal(1, 2)
    own, resumed = segmenter.weights(2), segmenter.weights('resumed')
    assert all(tensor.equal(own[name]) for name, tensor in resumed.items())
    # One process goes on from what two have saved, between two updates.
    between = segmenter.folder / '2' / 'iter_2.pth'
    alone = segmenter.command(1)
    alone[3] = segmenter.folder / 'alone'
    assert command(*alone[:2], '--resume', between, *alone[2:]).status == 0
    segmenter.check_equal_weights(2, 'alone')
    sizes = [file.stat().st_size for file in segmenter.folder.glob('[12]/iter_4.pth')]
    assert max(sizes) < 1.1 * min(sizes)
    assert read_file(checkpoint)['optimizer']['state']


@pytest.mark.parametrize('hook', ['mmengine.EMAHook', 'convnext_dense.CompileHook'])
def test_hooks_that_a_sharded_model_cannot_have_are_refused(hook):
    cfg = Config(dict(custom_hooks=[dict(type=hook)]))
    with pytest.raises(UsageError, match=f'leave out FullyShardedModel or {hook.split(".")[1]}'):
        ShardedTraining.wrap_model(
            SimpleNamespace(distributed=True, cfg=cfg), dict(type='convnext_dense.FullyShardedModel'), nn.Linear(1, 1)
        )
