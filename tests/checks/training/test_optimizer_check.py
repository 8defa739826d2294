"""Optimizers that cannot train a backbone."""

import pytest
from helpers.zoo import config, names
from mmengine.config import Config

from convnext_dense.checks import RunPlan
from convnext_dense.checks.training.optimizer import OPTIMIZER
from convnext_dense.config import load_config


def found(cfg, splits=('train', 'val')):
    return [finding.sentence for finding in OPTIMIZER.find(RunPlan(cfg, splits))]


def run(backbone, **optimizer):
    return Config(
        dict(model=dict(type='A', backbone=dict(type=backbone)), optim_wrapper=dict(optimizer=dict(optimizer)))
    )


class TestSgd:
    @pytest.mark.parametrize('kind', ['convnext_dense.ConvNeXt', 'mmpretrain.ConvNeXt', 'ConvNeXt'])
    def test_at_a_resnets_rate_is_a_warning_for_a_convnext(self, kind):
        (sentence,) = found(run(kind, type='SGD', lr=0.02))
        assert sentence.startswith('optim_wrapper.optimizer is SGD with lr=0.02, which hardly trains a ConvNeXt')
        assert not next(iter(OPTIMIZER.find(RunPlan(run(kind, type='SGD', lr=0.02), ('train',))))).is_error

    def test_is_found_around_detectors_in_detectors(self):
        cfg = Config(
            dict(model=dict(detector=run('ConvNeXt').model), optim_wrapper=dict(optimizer=dict(type='SGD', lr=1)))
        )
        assert len(found(cfg)) == 1

    @pytest.mark.parametrize(
        ('backbone', 'optimizer'),
        [
            ('ResNet', dict(type='SGD', lr=0.02)),
            ('convnext_dense.ConvNeXt', dict(type='SGD', lr=0.001)),
            ('convnext_dense.ConvNeXt', dict(type='AdamW', lr=0.02)),
            ('convnext_dense.ConvNeXt', dict()),
        ],
    )
    def test_else_it_is_not(self, backbone, optimizer):
        assert not found(run(backbone, **optimizer))

    def test_matters_in_training_only(self):
        assert not found(run('ConvNeXt', type='SGD', lr=0.02), splits=('test',))

    def test_is_in_none_of_our_configs(self):
        assert not [name for name in names() if found(config(name))]

    def test_is_found_after_a_swap_and_mended_by_the_recipe(self):
        base = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
        assert found(load_config(base, backbone='convnext_tiny'))
        assert not found(load_config(base, backbone='convnext_tiny', recipe='convnext'))
