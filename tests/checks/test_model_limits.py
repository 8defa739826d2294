"""What a config's model and pipeline lose of objects."""

import pytest
from mmengine.config import Config

from convnext_dense.checks.model_limits import ModelLimits, model_limits
from convnext_dense.config import load_config


def limits(pipeline, **model):
    dataset = dict(type='CocoDataset', pipeline=pipeline, filter_cfg=dict(min_size=32))
    cfg = dict(default_scope='mmdet', model=dict(type='A', **model), train_dataloader=dict(dataset=dataset))
    return model_limits(Config(cfg))


class TestStride:
    @pytest.mark.parametrize(
        ('config', 'stride'),
        [
            ('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', 8),
            ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 8),
            ('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py', 32),
            ('mask-rcnn_convnext-demo_fpn_demo-coco', 4),
        ],
    )
    def test_is_that_of_the_finest_map(self, config, stride):
        assert model_limits(load_config(config)).stride == stride


class TestPipelines:
    def test_all_scales_are_read(self):
        choice = dict(type='RandomChoiceResize', scales=[(1333, 640), (1333, 800)], keep_ratio=True)
        assert limits([choice]).scales == ((1333, 640), (1333, 800))
        jitter = dict(type='RandomResize', scale=(1000, 1000), ratio_range=(0.5, 2.0), keep_ratio=True)
        crop = dict(type='RandomCrop', crop_size=(800, 640), crop_type='absolute')
        found = limits([jitter, crop], backbone=dict(out_indices=(1, 2)))
        assert found == ModelLimits(8, ((500.0, 500.0), (2000.0, 2000.0)), True, (800, 640), 32)

    def test_nothing_is_said_where_sizes_change_otherwise(self):
        assert limits([dict(type='Mosaic'), dict(type='Resize', scale=(640, 640))]) == ModelLimits(min_size=32)
