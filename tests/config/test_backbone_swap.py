"""One string puts another backbone into this package's configs, and into mmdet's and mmseg's own."""

from unittest import mock

import pytest
import timm
from helpers.swaps import CONFIGS, MASK_RCNN, UPERNET, read_config, swap
from torch import nn

from convnext_dense.backbones.timm_description import _DESCRIBED
from convnext_dense.config import load_config, set_backbone
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta
from convnext_dense.optim import LayerDecayOptimWrapperConstructor

PSPNET = 'mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py'


class TestCost:
    @pytest.mark.parametrize(
        ('name', 'creations'),
        [
            ('resnet18', 1),
            # A patch of 14 is known after the model is created.
            ('vit_small_patch14_dinov2(depth=1)', 2),
        ],
    )
    def test_timm_creates_the_model_once(self, name, creations):
        _DESCRIBED.clear()
        models = []

        def create(*arguments, **keywords):
            models.append(timm_create(*arguments, **keywords))
            return models[-1]

        timm_create = timm.create_model
        with mock.patch.object(timm, 'create_model', create):
            swap(MASK_RCNN, f'timm/{name}')
        assert len(models) == creations


class TestRefusals:
    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('mmdet::pascal_voc/faster-rcnn_r50-caffe-c4_ms-18k_voc0712.py', r'roi_head\.shared_head \(ResLayer\)'),
            (
                'mmdet::bytetrack/bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot17halftrain_test-mot17halfval.py',
                'no model.backbone',
            ),
            ('mmseg::setr/setr_vit-l-mla_8xb1-160k_ade20k-512x512.py', r'model\.neck \(MLANeck\) cannot take maps'),
            (
                'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py',
                r'model\.backbone \(UNet\) has maps of stride 16, 8',
            ),
            ('mmseg::dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py', r'model\.backbone \(VisionTransformer\)'),
        ],
    )
    def test_name_the_part_and_change_nothing(self, name, message):
        cfg = read_config(name)
        before = cfg.to_dict()
        with pytest.raises(UsageError, match=f'^backbone: .*{message}'):
            set_backbone(cfg, 'convnext_atto')
        assert cfg.to_dict() == before

    def test_tell_what_the_backbone_rejects(self):
        with pytest.raises(UsageError, match=r'^backbone timm/vgg11.*: timm cannot build vgg11 with drop_path_rate'):
            swap(MASK_RCNN, 'timm/vgg11(drop_path_rate=0.1)')


class TestOperatorsWithoutACompiler:
    @pytest.mark.parametrize(
        'name',
        [
            'mmdet::carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',
            'mmdet::dyhead/atss_r50_fpn_dyhead_1x_coco.py',
            'mmseg::psanet/psanet_r50-d8_4xb4-80k_ade20k-512x512.py',
        ],
    )
    def test_are_in_parts_that_fit(self, name):
        assert swap(name, 'convnext_tiny').model.backbone.type == 'convnext_dense.ConvNeXt'


class TestLayerDecay:
    @pytest.mark.parametrize(
        ('name', 'backbone', 'decay_type'),
        [
            (MASK_RCNN, 'convnext_base', 'layer_wise'),
            (UPERNET, 'convnext_base', 'stage_wise'),
            (UPERNET, 'timm/resnet18', 'layer_wise'),
            (MASK_RCNN, 'mmdet/SwinTransformer', 'layer_wise'),
        ],
    )
    def test_keeps_the_stems_rate_with_the_new_layers(self, name, backbone, decay_type):
        recipe, cfg = read_config(name).optim_wrapper.paramwise_cfg, swap(name, backbone)
        paramwise = cfg.optim_wrapper.paramwise_cfg
        assert paramwise.keys() == {'decay_rate', 'decay_type'}
        assert paramwise.decay_type == decay_type
        model = nn.Module()
        model.backbone = build_on_meta(cfg.model.backbone, 'mmdet')
        wrapper = dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05))
        groups = LayerDecayOptimWrapperConstructor(wrapper, dict(paramwise))(model).optimizer.param_groups
        assert min(group['lr'] for group in groups) == pytest.approx(recipe.decay_rate ** (6 + 1), rel=0.01)

    def test_keeps_convnexts_own_rate(self):
        assert swap(MASK_RCNN, 'convnextv2_tiny').optim_wrapper.paramwise_cfg.decay_rate == 0.95

    def test_of_openmmlab_becomes_ours(self):
        name = 'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py'
        wrapper = swap(name, 'timm/resnet18').optim_wrapper
        assert wrapper.constructor == 'convnext_dense.LayerDecayOptimWrapperConstructor'
        assert wrapper.optimizer.lr == 1e-4


class TestRecipe:
    def test_drop_path_stays_if_the_backbone_has_it(self):
        assert swap(MASK_RCNN, 'timm/resnet18').model.backbone.drop_path_rate == 0.4
        assert swap(MASK_RCNN, 'mmdet/SwinTransformer').model.backbone.drop_path_rate == 0.4
        assert 'drop_path_rate' not in swap(MASK_RCNN, 'timm/vgg11').model.backbone
        assert swap(MASK_RCNN, 'convnext_base(drop_path_rate=0.7)').model.backbone.drop_path_rate == 0.7

    @pytest.mark.parametrize(('backbone', 'keeps'), [('timm/resnet18', True), ('timm/vgg11', False)])
    def test_checkpointing_stays_if_the_backbone_has_it(self, backbone, keeps):
        cfg = read_config(MASK_RCNN)
        cfg.model.backbone.with_cp = True
        set_backbone(cfg, backbone)
        assert cfg.model.backbone.get('with_cp', False) is keeps

    def test_a_model_of_a_fixed_size_is_tried_at_it(self):
        cfg = swap(UPERNET, 'timm/beit_base_patch16_224(img_size=(640, 640), depth=1)')
        assert cfg.model.backbone.model_args.img_size == (640, 640)

    def test_other_channels_of_the_image_stay(self):
        cfg = read_config(UPERNET)
        cfg.model.backbone.in_channels = 5
        before = cfg.model.data_preprocessor.to_dict()
        set_backbone(cfg, 'timm/resnet18')
        assert cfg.model.backbone.in_channels == 5
        assert cfg.model.data_preprocessor == before

    def test_images_are_normalized_as_the_weights_require(self):
        cfg = swap('mmdet::faster_rcnn/faster-rcnn_r50-caffe_fpn_1x_coco.py', 'convnext_tiny')
        preprocessor = cfg.model.data_preprocessor
        assert preprocessor.mean == [123.675, 116.28, 103.53]
        assert preprocessor.std == [58.395, 57.12, 57.375]
        assert preprocessor.bgr_to_rgb is True

    def test_old_weights_are_dropped(self):
        assert 'pretrained' not in swap(PSPNET, 'convnext_tiny').model
        cfg = read_config(MASK_RCNN)
        cfg.load_from = 'detector.pth'
        set_backbone(cfg, 'timm/resnet18')
        assert cfg.load_from is None

    def test_everything_else_stays(self):
        before, after = read_config(MASK_RCNN).to_dict(), swap(MASK_RCNN, 'timm/resnet18').to_dict()
        for part in ('optim_wrapper', 'model'):
            before.pop(part), after.pop(part)
        assert after == before

    def test_the_config_imports_this_package(self):
        cfg = swap('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'convnext_tiny')
        assert cfg.custom_imports.imports == ['convnext_dense']


def test_options_come_last_and_name_the_work_dir():
    cfg = load_config(
        str(CONFIGS / MASK_RCNN), backbone='timm/resnet18', cfg_options={'model.backbone.frozen_stages': 1}
    )
    assert cfg.model.backbone.frozen_stages == 1
    assert cfg.work_dir.endswith('mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco_timm-resnet18')
