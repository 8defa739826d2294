"""ConvNeXt's optimizer in other people's configs, and starting from scratch."""

from unittest import mock

import pytest
from helpers.commands import run_command
from helpers.swaps import CONFIGS, MASK_RCNN, UPERNET, read_config
from mmengine.config import Config

from convnext_dense.config import load_config, set_recipe
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta
from convnext_dense.optim import LayerDecayOptimWrapperConstructor

DETECTOR = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
SEGMENTER = 'mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py'


def stem_scale(cfg):
    """The lowest learning rate of all, as a part of the heads'."""
    model = build_on_meta(cfg.model, cfg.default_scope).requires_grad_()
    wrapper = cfg.optim_wrapper
    constructor = LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=wrapper.optimizer.to_dict()), wrapper.paramwise_cfg.to_dict()
    )
    return min(group['lr_scale'] for group in constructor(model).optimizer.param_groups)


class TestRecipe:
    @pytest.mark.parametrize(
        ('base', 'published', 'decay'),
        [
            (DETECTOR, MASK_RCNN, dict(decay_rate=0.95, decay_type='layer_wise')),
            (SEGMENTER, UPERNET, dict(decay_rate=0.9, decay_type='stage_wise')),
        ],
    )
    def test_is_what_the_published_config_has(self, base, published, decay):
        cfg, expected = load_config(base, backbone='convnext_tiny', recipe='convnext'), read_config(published)
        assert cfg.optim_wrapper.optimizer == expected.optim_wrapper.optimizer
        assert cfg.optim_wrapper.constructor == expected.optim_wrapper.constructor
        assert cfg.optim_wrapper.paramwise_cfg == decay
        assert {**expected.optim_wrapper.paramwise_cfg, **decay} == expected.optim_wrapper.paramwise_cfg

    def test_the_schedule_stays_and_its_rates_are_scaled(self):
        before, cfg = load_config(SEGMENTER), load_config(SEGMENTER, backbone='convnext_tiny', recipe='convnext')
        (poly,), (scaled,) = before.param_scheduler, cfg.param_scheduler
        assert (poly.eta_min, before.optim_wrapper.optimizer.lr) == (1e-4, 0.01)
        assert scaled.eta_min == pytest.approx(1e-6)
        assert {**scaled, 'eta_min': 0} == {**poly, 'eta_min': 0}

    @pytest.mark.parametrize('backbone', [None, 'timm/resnet18', 'mmdet/SwinTransformer'])
    def test_the_stem_of_another_backbone_trains_at_convnexts_rate(self, backbone):
        cfg = load_config(DETECTOR, backbone=backbone, recipe='convnext')
        assert stem_scale(cfg) == pytest.approx(0.95**7, rel=0.01)

    def test_what_belongs_to_the_run_stays(self):
        cfg = read_config(DETECTOR)
        cfg.optim_wrapper.update(type='AmpOptimWrapper', clip_grad=dict(max_norm=1.0), accumulative_counts=2)
        set_recipe(cfg)
        assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
        assert (cfg.optim_wrapper.clip_grad.max_norm, cfg.optim_wrapper.accumulative_counts) == (1.0, 2)

    @pytest.mark.parametrize(
        ('change', 'recipe', 'message'),
        [
            ({}, 'resnet', "recipe: there is no recipe 'resnet'; choose from convnext"),
            (dict(optim_wrapper=None), 'convnext', 'recipe: the config has no optim_wrapper'),
            (dict(model=dict(type='A')), 'convnext', r'recipe: the config has no model\.backbone'),
        ],
    )
    def test_what_cannot_have_it_is_an_error(self, change, recipe, message):
        cfg = Config({**read_config(DETECTOR).to_dict(), **change})
        with pytest.raises(UsageError, match=message):
            set_recipe(cfg, recipe)

    @pytest.mark.parametrize(
        ('recipe', 'line'),
        [
            (None, "optimizer: the config's own: SGD, lr 0.02, weight decay 0.0001."),
            (
                'convnext',
                "optimizer: ConvNeXt's, by the recipe convnext: AdamW, lr 0.0001, weight decay 0.05, layer decay 0.95.",
            ),
        ],
    )
    def test_one_line_says_which_optimizer_was_taken(self, recipe, line):
        with mock.patch('convnext_dense.config.backbone.recipe.print_log') as log:
            load_config(DETECTOR, backbone='convnext_tiny', recipe=recipe)
        assert [call.args[0] for call in log.call_args_list] == [line]


class TestFromScratch:
    def test_takes_out_the_weights_and_freezes_nothing(self):
        backbone = load_config(DETECTOR, pretrained=False).model.backbone
        assert 'init_cfg' not in backbone
        assert (backbone.frozen_stages, backbone.norm_eval) == (-1, False)
        assert not [
            name for name, param in build_on_meta(backbone, 'mmdet').named_parameters() if not param.requires_grad
        ]

    def test_ours_initializes_itself(self):
        backbone = build_on_meta(load_config(str(CONFIGS / MASK_RCNN), pretrained=False).model.backbone)
        assert backbone.init_cfg['type'] == 'TruncNormal'

    def test_the_work_dir_says_so(self):
        cfg = load_config(DETECTOR, backbone='convnext_tiny', pretrained=False, recipe='convnext')
        assert cfg.work_dir.endswith('_1x_coco_convnext_tiny_recipe-convnext_from-scratch')

    def test_a_model_without_a_backbone_is_an_error(self):
        with pytest.raises(UsageError, match=r'pretrained: DeepSORT has no model\.backbone'):
            load_config(
                'mmdet::deepsort/deepsort_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py',
                pretrained=False,
            )


class TestFlags:
    def trained(self, folder, *flags):
        """The config that the command would train."""
        with mock.patch('convnext_dense.apis.train') as train:
            result = run_command(folder, 'train', DETECTOR, *flags)
        assert result.status == 0, result.err
        return train.call_args.args[0]

    def test_reach_the_config(self, tmp_path):
        cfg = self.trained(tmp_path, '--backbone', 'convnext_tiny', '--recipe', 'convnext', '--from-scratch')
        assert cfg.optim_wrapper.optimizer.type == 'AdamW'
        assert 'init_cfg' not in cfg.model.backbone

    def test_without_them_the_config_is_its_own(self, tmp_path):
        cfg = self.trained(tmp_path)
        assert cfg.optim_wrapper.optimizer.type == 'SGD'
        assert cfg.model.backbone.init_cfg.checkpoint == 'torchvision://resnet50'
