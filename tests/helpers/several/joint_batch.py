"""Trainings by one process, and by several that have its batch between them."""

import json
from pathlib import Path

import pytest
import torch

from convnext_dense.weights.storage.files import read_file
from helpers.demo_runs import DETECTOR, FEW_WORKERS

# Its losses are divided by what all processes have found, so their mean over processes is that of the joint batch.
ATSS = """
_base_ = ['{config}']
channels, strides = 16, [4, 8, 16, 32]
norm_cfg = dict(type='SyncBN')
model = dict(
    _delete_=True,
    type='ATSS',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[127.0] * 3, std=[57.0] * 3, pad_size_divisor=32),
    backbone=dict(
        type='convnext_dense.ConvNeXt',
        arch=dict(depths=[1, 1, 1, 1], channels=[16, 16, 32, 32]),
        layer_scale_init_value=0.1,
    ),
    neck=dict(type='FPN', in_channels=[16, 16, 32, 32], out_channels=channels, num_outs=4, norm_cfg=norm_cfg),
    bbox_head=dict(
        type='ATSSHead', num_classes=4, in_channels=channels, stacked_convs=1, feat_channels=channels,
        norm_cfg=norm_cfg,
        anchor_generator=dict(
            type='AnchorGenerator', ratios=[1.0], octave_base_scale=4, scales_per_octave=1, strides=strides
        ),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]
        ),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=9),
)
val_evaluator = dict(metric='bbox')
"""
SYNC_BN = """
_base_ = ['{config}']
norm_cfg = dict(_delete_=True, type='SyncBN')
model = dict(decode_head=dict(norm_cfg=norm_cfg), auxiliary_head=dict(norm_cfg=norm_cfg))
"""
SMALL = 'model.backbone.arch={"depths":[1,1,1,1],"channels":[32,64,128,128]}'
# Of small gradients, AdamW's first steps follow the sign alone, which rounding may turn.
SGD = 'optim_wrapper.optimizer={"_delete_":True,"type":"SGD","lr":0.05,"momentum":0.9}'
# A rate that moves the weights from the first step on.
CONSTANT = 'param_scheduler=[{"type":"ConstantLR","factor":1.0,"by_epoch":False}]'
COMMON = [
    *FEW_WORKERS,
    SGD,
    CONSTANT,
    'default_hooks.logger.interval=1',
    'randomness.seed=3',
    'env_cfg.dist_cfg.timeout=60',
]
DETECTION = [*COMMON, 'train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1']
SEGMENTATION = [*COMMON, SMALL, 'train_cfg.max_iters=4', 'train_cfg.val_interval=4']
SEGMENTATION += ['default_hooks.checkpoint.interval=4']
JOINT_BATCH = 4
# Times, and what mmseg averages over the pixels of a process that are not ignored.
LEFT_OUT = ('time', 'memory', 'acc_seg')


class Case:
    """A training, by one process and by several."""

    def __init__(self, folder: Path, name: str, base: str, config: Path, options: list[str]) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.config = self.folder / 'config.py'
        recomputed = [option.removeprefix('cfg.') for option in options if option.startswith('cfg.')]
        self.config.write_text('\n'.join([base.format(config=config), *recomputed]))
        self.options = [option for option in options if not option.startswith('cfg.')]
        self.is_detector = config == DETECTOR

    def command(self, processes: int) -> list:
        """Return the arguments of the training by as many processes."""
        options = [*self.options, f'train_dataloader.batch_size={JOINT_BATCH // processes}']
        if self.is_detector:
            # Batches of images of one aspect ratio are other batches where there are several processes.
            options += ['train_dataloader.batch_sampler=None']
        return ['train', self.config, '--work-dir', self.folder / str(processes), '--cfg-options', *options]

    def weights(self, processes: object) -> dict[str, torch.Tensor]:
        """Return the weights that as many processes have trained."""
        name = 'epoch_1.pth' if self.is_detector else 'iter_4.pth'
        return read_file(self.folder / str(processes) / name)['state_dict']

    def log(self, processes: object) -> list[dict]:
        """Return what as many processes have logged: losses of each step, and metrics."""
        (file,) = (self.folder / str(processes)).glob('*/vis_data/scalars.json')
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        return [{name: value for name, value in entry.items() if not name.endswith(LEFT_OUT)} for entry in entries]

    def check_equal(self, one: object, other: object) -> None:
        """Assert that two of the trainings have the same weights and logs, as far as rounding goes."""
        self.check_equal_weights(one, other)
        logs = zip(self.log(one), self.log(other), strict=True)
        assert all(entry == pytest.approx(expected, rel=1e-4, abs=1e-4) for expected, entry in logs)

    def check_equal_weights(self, one: object, other: object) -> None:
        """Assert that two of the trainings have the same weights, as far as rounding goes."""
        own, others = self.weights(one), self.weights(other)
        assert own.keys() == others.keys()
        worst = max(float((others[name] - tensor).abs().max()) for name, tensor in own.items())
        print(f'{self.folder.name}: the weights of {one} and {other} differ by at most {worst:.1e}')
        for name, tensor in own.items():
            # Sums over channels round by the size of their largest part.
            near = 1e-5 + 1e-4 * float(tensor.abs().max())
            torch.testing.assert_close(
                others[name], tensor, rtol=1e-4, atol=near, msg=lambda text, n=name: f'{n}: {text}'
            )
