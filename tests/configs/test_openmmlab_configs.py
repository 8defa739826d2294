"""mmdet's and mmseg's own ConvNeXt configs with only the backbone's type replaced."""

from pathlib import Path

import mmdet
import mmseg
import pytest
import torch
from helpers.batches import detection_batch, segmentation_batch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, init_default_scope

PACKAGES = {package.__name__: Path(package.__file__).parent for package in (mmdet, mmseg)}
CONFIGS = sorted(
    (package, file.name)
    for package, folder in PACKAGES.items()
    for file in (folder / '.mim/configs/convnext').glob('*.py')
)


def replaced(package, name, folder):
    """The config as a user edits it: another type, other imports, no download."""
    source = PACKAGES[package] / '.mim/configs/convnext' / name
    child = folder / 'child.py'
    child.write_text(
        f"_base_ = ['{source}']\n"
        "custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)\n"
        "model = dict(backbone=dict(type='convnext_dense.ConvNeXt', init_cfg=None))\n"
    )
    return Config.fromfile(child)


@pytest.mark.parametrize(('package', 'name'), CONFIGS)
def test_builds_with_the_backbones_type_replaced(tmp_path, package, name):
    cfg = replaced(package, name, tmp_path)
    init_default_scope(package)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone)
    assert type(backbone).__module__ == 'convnext_dense.backbones.convnext'
    neck_or_head = cfg.model.neck if 'neck' in cfg.model else cfg.model.decode_head
    assert list(backbone.channels) == list(neck_or_head.in_channels)


@pytest.mark.parametrize(('package', 'name'), CONFIGS)
def test_takes_a_training_step(tmp_path, package, name):
    """The config's own model, heads and constructor; a depth of 27 blocks and XL's width fit in no test."""
    cfg = replaced(package, name, tmp_path)
    init_default_scope(package)
    # The config's widths and heads, at a quarter of the third stage's depth or less.
    with torch.device('meta'):
        channels = MODELS.build(cfg.model.backbone).channels
    cfg.model.backbone.arch = dict(depths=[1, 1, 1, 1], channels=channels)
    if name.startswith('cascade'):
        for stage in cfg.model.train_cfg.rcnn:
            stage.sampler.num = 16
    if package == 'mmseg':
        # Else it pads the batch to the crop's size, a hundred times as many pixels.
        cfg.model.data_preprocessor.size = (64, 64)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    paramwise_cfg = cfg.optim_wrapper.paramwise_cfg
    paramwise_cfg.num_layers = 6
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=cfg.optim_wrapper.constructor,
            paramwise_cfg=paramwise_cfg,
            # AMP needs a GPU.
            optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer),
        )
    )
    before = model.backbone.stages[0][0].pwconv1.weight.clone()
    batch = detection_batch() if package == 'mmdet' else segmentation_batch()
    losses = model.train_step(batch, constructor(model))
    assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())
    assert not torch.equal(before, model.backbone.stages[0][0].pwconv1.weight)
