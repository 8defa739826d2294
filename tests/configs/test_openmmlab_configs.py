"""mmdet's and mmseg's own ConvNeXt configs, with only the backbone's type replaced."""

from pathlib import Path

import mmdet
import mmseg
import pytest
from helpers.data.batches import detection_batch, segmentation_batch
from helpers.training_steps import assert_trains, make_shallow
from helpers.zoo import tiers
from mmengine.config import Config

from convnext_dense.meta_device import build_on_meta

FOLDERS = [Path(package.__file__).parent / '.mim/configs/convnext' for package in (mmdet, mmseg)]
FILES = {file.name: file for folder in FOLDERS for file in sorted(folder.glob('*.py'))}
FAST = {
    'mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py',
    'cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py',
    'convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',
}


def replace_backbone_type(name, folder):
    """Edit a config as a user does: another type, other imports, no download."""
    child = folder / 'child.py'
    child.write_text(
        f"_base_ = ['{FILES[name]}']\n"
        "custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)\n"
        "model = dict(backbone=dict(type='convnext_dense.ConvNeXt', init_cfg=None))\n"
    )
    return Config.fromfile(child)


@pytest.mark.parametrize('name', FILES)
def test_backbone_has_the_widths_that_the_heads_take(tmp_path, name):
    cfg = replace_backbone_type(name, tmp_path)
    backbone = build_on_meta(cfg.model.backbone, cfg.default_scope)
    assert type(backbone).__module__ == 'convnext_dense.backbones.convnext'
    neck_or_head = cfg.model.neck if 'neck' in cfg.model else cfg.model.decode_head
    assert list(backbone.channels) == list(neck_or_head.in_channels)


@pytest.mark.parametrize('name', tiers(list(FILES), FAST))
def test_model_takes_a_training_step(tmp_path, name):
    cfg = replace_backbone_type(name, tmp_path)
    make_shallow(cfg)
    if name.startswith('cascade'):
        for stage in cfg.model.train_cfg.rcnn:
            stage.sampler.num = 16
    if cfg.default_scope == 'mmseg':
        # Otherwise the batch is padded to the crop's size, a hundred times as many pixels.
        cfg.model.data_preprocessor.size = (64, 64)
    assert_trains(cfg, detection_batch() if cfg.default_scope == 'mmdet' else segmentation_batch())
