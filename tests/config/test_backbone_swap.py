"""One string puts another backbone into this package's configs, and into mmdet's and mmseg's own."""

from pathlib import Path

import mmdet
import mmseg
import pytest
from mmengine.config import Config
from torch import nn

from convnext_dense.config import load_config, set_backbone
from convnext_dense.config.backbone.names import parse_backbone
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta
from convnext_dense.optim import LayerDecayOptimWrapperConstructor

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    'ours': ROOT / 'configs',
    'mmdet': Path(mmdet.__file__).parent / '.mim' / 'configs',
    'mmseg': Path(mmseg.__file__).parent / '.mim' / 'configs',
}
MASK_RCNN = 'ours/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
UPERNET = 'ours/upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'
ATTO = [40, 80, 160, 320]
IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


def config(name):
    package, path = name.split('/', 1)
    return Config.fromfile(CONFIGS[package] / path, import_custom_modules=False)


def swapped(name, backbone, pretrained=True):
    cfg = config(name)
    set_backbone(cfg, backbone, pretrained)
    return cfg


class TestNames:
    @pytest.mark.parametrize(
        ('name', 'weights'),
        [
            ('convnext_base', 'convnext_base_in1k'),
            ('convnext_xlarge', 'convnext_xlarge_in22k'),
            ('convnext_base_in22k', 'convnext_base_in22k'),
            ('convnextv2_tiny', 'convnextv2_tiny_fcmae_in1k'),
            ('convnextv2_huge_fcmae', 'convnextv2_huge_fcmae'),
            ('convnext_small_dinov3', 'convnext_small_dinov3'),
            ('timm/resnet50', 'timm://resnet50.a1_in1k'),
            ('timm/resnet50.tv_in1k', 'timm://resnet50.tv_in1k'),
            ('mmdet/ResNet(depth=101)', 'torchvision://resnet101'),
        ],
    )
    def test_say_the_weights(self, name, weights):
        assert parse_backbone(name).config['init_cfg'] == dict(type='Pretrained', checkpoint=weights)

    def test_of_convnext_v2_mean_its_blocks(self):
        assert (
            parse_backbone('convnextv2_tiny').config.items() >= dict(use_grn=True, layer_scale_init_value=0.0).items()
        )
        assert parse_backbone('convnext_tiny').config['layer_scale_init_value'] == 1.0

    def test_take_arguments_of_the_backbone_and_of_timms_model(self):
        named = parse_backbone('timm/vit_tiny_patch16_224(depth=2, pyramid_channels=64)')
        assert named.config['model_args'] == dict(depth=2)
        assert named.config['pyramid_channels'] == 64

    def test_take_weights_of_ones_own(self):
        init_cfg = dict(type='Pretrained', checkpoint='own.pth')
        assert parse_backbone(f'timm/resnet18(init_cfg={init_cfg})').config['init_cfg'] == init_cfg
        named = parse_backbone('timm/resnet18(init_cfg=dict(type="Pretrained", checkpoint="own.pth"))')
        assert named.config['init_cfg'] == init_cfg

    @pytest.mark.parametrize('name', ['timm/resnet18', 'mmdet/ResNet(depth=18)'])
    def test_from_scratch_have_no_weights_and_no_frozen_statistics(self, name):
        assert build_on_meta(parse_backbone(name).config, 'mmdet').norm_eval
        scratch = parse_backbone(name, pretrained=False).config
        assert 'init_cfg' not in scratch
        assert not build_on_meta(scratch, 'mmdet').norm_eval
        # mmdet knows no weights for it.
        assert parse_backbone('mmdet/ResNeXt(depth=50)').config['norm_eval'] is False
        assert parse_backbone('timm/resnet18(norm_eval=True)', pretrained=False).config['norm_eval']

    def test_keep_weights_beside_arguments_that_change_no_shape(self):
        kept, scratch = 'mmdet/SwinTransformer(drop_path_rate=0.2)', 'mmdet/SwinTransformer(embed_dims=48)'
        assert parse_backbone(kept).config['convert_weights']
        assert 'init_cfg' not in parse_backbone(scratch).config
        assert 'init_cfg' not in parse_backbone('mmdet/ResNet(depth=50, deep_stem=True)').config

    def test_bring_the_colours_that_the_weights_were_trained_on(self):
        assert parse_backbone('convnext_tiny')[1:] == IMAGENET
        assert parse_backbone('timm/vit_tiny_patch16_224').mean == [127.5, 127.5, 127.5]
        assert parse_backbone('convnext_base_clip_laion2b').mean == [122.771, 116.746, 104.094]

    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('resnet50', 'no ConvNeXt of that name.*named as timm/resnet50'),
            ('convnext_tinny', 'similar names are .*convnext_tiny'),
            ('convnext_tiny_in21k', 'no such weights; those of convnext_tiny are convnext_tiny_in1k'),
            ('timm/resnet5o', "no model 'resnet5o'; similar ones are"),
            ('torchvision/resnet50', 'with one of timm, .* before the slash'),
            ('mmdet/SwinTransfomer', 'there is no mmdet.SwinTransfomer; similar names are SwinTransformer'),
            ('mmdet/ResNet', 'mmdet.ResNet cannot be built: .*depth'),
            ('mmdet/ResNet(101)', r'arguments are written as \(depth=101'),
            ('mmdet/ResNet(depth=f(1))', r'arguments are written as .*f\(1\) is no value'),
            ('timm/resnet18(out_indices=(1, 2))', 'out_indices are those that the config needs'),
            ('timm/levit_128', 'no map of stride 4, 8'),
            ('mmdet/Darknet', 'has maps of stride'),
            ('', 'a backbone is named as'),
        ],
    )
    def test_that_are_wrong_are_refused_in_one_sentence(self, name, message):
        with pytest.raises(UsageError, match=message):
            parse_backbone(name)


class TestChannels:
    # Every way in which a part of mmdet's and mmseg's models says the channels that it takes.
    @pytest.mark.parametrize(
        ('name', 'part', 'in_channels'),
        [
            (MASK_RCNN, 'neck', ATTO),
            (UPERNET, 'decode_head', ATTO),
            (UPERNET, 'auxiliary_head', 160),
            ('mmdet/cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', 'neck', ATTO),
            ('mmdet/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', 'neck', ATTO),
            ('mmdet/libra_rcnn/libra-fast-rcnn_r50_fpn_1x_coco.py', 'neck.0', ATTO),
            ('mmdet/yolo/yolov3_d53_8xb8-320-273e_coco.py', 'neck', ATTO[:0:-1]),
            ('mmdet/yolox/yolox_s_8xb8-300e_coco.py', 'neck', ATTO[1:]),
            ('mmdet/yolof/yolof_r50-c5_8xb8-1x_coco.py', 'neck', 320),
            ('mmdet/dino/dino-4scale_r50_8xb2-12e_coco.py', 'neck', ATTO[1:]),
            ('mmdet/mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', 'panoptic_head', ATTO),
            ('mmseg/pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py', 'decode_head', 320),
            ('mmseg/deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py', 'decode_head', 320),
            ('mmseg/encnet/encnet_r50-d8_4xb4-80k_ade20k-512x512.py', 'decode_head', ATTO[1:]),
            ('mmseg/ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512.py', 'decode_head.1', ATTO),
            ('mmseg/knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py', 'decode_head.kernel_generate_head', 320),
            ('mmseg/fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-80k_ade20k-512x512.py', 'neck', tuple(ATTO[1:])),
            ('mmseg/fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-80k_ade20k-512x512.py', 'auxiliary_head', 160),
            ('mmseg/mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py', 'decode_head', ATTO),
            ('mmseg/segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', 'decode_head', ATTO),
            ('mmseg/vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512.py', 'decode_head', ATTO),
        ],
    )
    def test_are_fitted_and_the_model_builds(self, name, part, in_channels):
        cfg = swapped(name, 'convnext_atto')
        node = cfg.model
        for key in part.split('.'):
            node = node[int(key)] if key.isdigit() else node[key]
        assert node.in_channels == in_channels
        model = build_on_meta(cfg.model, cfg.default_scope)
        assert type(model.backbone).__name__ == 'ConvNeXt'

    def test_of_deeplabs_first_map_are_fitted_too(self):
        cfg = swapped('mmseg/deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py', 'convnext_atto')
        assert cfg.model.decode_head.c1_in_channels == 40

    def test_a_neck_that_makes_a_vits_pyramid_is_taken_out(self):
        cfg = swapped('mmseg/vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512.py', 'timm/vit_tiny_patch16_224')
        assert 'neck' not in cfg.model
        assert cfg.model.decode_head.in_channels == [256] * 4

    @pytest.mark.parametrize(
        ('backbone', 'channels', 'out_indices'),
        [
            ('timm/resnet18', [128, 256, 512], [1, 2, 3]),
            ('mmdet/SwinTransformer', [192, 384, 768], [1, 2, 3]),
            # mmdet's CSPNeXt counts its stem as the first stage.
            ('mmdet/CSPNeXt', [256, 512, 1024], [2, 3, 4]),
            ('mmseg/MixVisionTransformer', [128, 256, 512], [1, 2, 3]),
        ],
    )
    def test_the_maps_have_the_strides_that_the_config_needs(self, backbone, channels, out_indices):
        cfg = swapped('mmdet/dino/dino-4scale_r50_8xb2-12e_coco.py', backbone)
        assert cfg.model.neck.in_channels == channels
        assert list(cfg.model.backbone.out_indices) == out_indices


class TestRefusals:
    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('mmdet/pascal_voc/faster-rcnn_r50-caffe-c4_ms-18k_voc0712.py', r'roi_head\.shared_head \(ResLayer\)'),
            ('mmdet/ssd/ssd300_coco.py', r'model\.neck \(SSDNeck\) cannot take maps'),
            (
                'mmdet/bytetrack/bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot17halftrain_test-mot17halfval.py',
                'no model.backbone',
            ),
            ('mmseg/setr/setr_vit-l-mla_8xb1-160k_ade20k-512x512.py', r'model\.neck \(MLANeck\) cannot take maps'),
            (
                'mmseg/unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py',
                r'model\.backbone \(UNet\) has maps of stride 16, 8',
            ),
            ('mmseg/dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py', r'model\.backbone \(VisionTransformer\)'),
        ],
    )
    def test_name_the_part_and_leave_the_config_as_it_was(self, name, message):
        cfg = config(name)
        before = cfg.pretty_text
        with pytest.raises(UsageError, match=message):
            set_backbone(cfg, 'convnext_atto')
        assert cfg.pretty_text == before


class TestRecipe:
    @pytest.mark.parametrize(
        ('name', 'backbone', 'decay_type'),
        [
            (MASK_RCNN, 'convnext_base', 'layer_wise'),
            (UPERNET, 'convnext_base', 'stage_wise'),
            (UPERNET, 'timm/resnet18', 'layer_wise'),
            (MASK_RCNN, 'mmdet/SwinTransformer', 'layer_wise'),
        ],
    )
    def test_the_decay_goes_by_the_new_backbones_layers_to_the_same_rate_for_the_stem(self, name, backbone, decay_type):
        recipe, cfg = config(name).optim_wrapper.paramwise_cfg, swapped(name, backbone)
        paramwise = cfg.optim_wrapper.paramwise_cfg
        assert paramwise.keys() == {'decay_rate', 'decay_type'}
        assert paramwise.decay_type == decay_type
        model = nn.Module()
        model.backbone = build_on_meta(cfg.model.backbone, 'mmdet')
        wrapper = dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05))
        groups = LayerDecayOptimWrapperConstructor(wrapper, dict(paramwise))(model).optimizer.param_groups
        assert min(group['lr'] for group in groups) == pytest.approx(recipe.decay_rate ** (6 + 1), rel=0.01)

    def test_convnexts_own_recipe_keeps_its_rate(self):
        assert swapped(MASK_RCNN, 'convnextv2_tiny').optim_wrapper.paramwise_cfg.decay_rate == 0.95

    # PSPNet takes the last two maps, DeepLabV3+ also the first, RetinaNet's FPN leaves out the first.
    @pytest.mark.parametrize(
        ('name', 'unused'),
        [
            (UPERNET, False),
            (MASK_RCNN, False),
            ('mmdet/mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', False),
            ('mmseg/pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py', True),
            ('mmseg/deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py', True),
            ('mmdet/retinanet/retinanet_r50_fpn_1x_coco.py', True),
        ],
    )
    def test_distributed_training_does_not_wait_for_maps_that_are_not_used(self, name, unused):
        assert swapped(name, 'convnext_atto').get('find_unused_parameters', False) is unused

    def test_a_model_of_a_fixed_size_is_tried_at_it(self):
        cfg = swapped(UPERNET, 'timm/beit_base_patch16_224(img_size=(640, 640), depth=1)')
        assert cfg.model.backbone.model_args.img_size == (640, 640)

    def test_other_channels_of_the_image_stay(self):
        cfg = config(UPERNET)
        cfg.model.backbone.in_channels = 5
        before = cfg.model.data_preprocessor.to_dict()
        set_backbone(cfg, 'timm/resnet18')
        assert cfg.model.backbone.in_channels == 5
        assert cfg.model.data_preprocessor == before

    def test_openmmlabs_decay_becomes_ours(self):
        wrapper = swapped(
            'mmdet/convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py', 'timm/resnet18'
        ).optim_wrapper
        assert wrapper.constructor == 'convnext_dense.LayerDecayOptimWrapperConstructor'
        assert wrapper.optimizer.lr == 1e-4

    def test_drop_path_stays_where_the_backbone_has_it(self):
        assert swapped(MASK_RCNN, 'timm/resnet18').model.backbone.drop_path_rate == 0.4
        assert swapped(MASK_RCNN, 'mmdet/SwinTransformer').model.backbone.drop_path_rate == 0.4
        assert 'drop_path_rate' not in swapped(MASK_RCNN, 'timm/vgg11').model.backbone
        assert swapped(MASK_RCNN, 'convnext_base(drop_path_rate=0.7)').model.backbone.drop_path_rate == 0.7

    def test_images_are_normalised_as_the_weights_ask_for(self):
        cfg = swapped('mmdet/faster_rcnn/faster-rcnn_r50-caffe_fpn_1x_coco.py', 'convnext_tiny')
        preprocessor = cfg.model.data_preprocessor
        assert (preprocessor.mean, preprocessor.std, preprocessor.bgr_to_rgb) == (*IMAGENET, True)

    def test_old_weights_are_dropped(self):
        cfg = swapped('mmseg/pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py', 'convnext_tiny')
        assert 'pretrained' not in cfg.model
        cfg = config(MASK_RCNN)
        cfg.load_from = 'detector.pth'
        set_backbone(cfg, 'timm/resnet18')
        assert cfg.load_from is None

    def test_all_else_stays(self):
        before, after = config(MASK_RCNN).to_dict(), swapped(MASK_RCNN, 'timm/resnet18').to_dict()
        for part in ('optim_wrapper', 'model'):
            before.pop(part), after.pop(part)
        assert after == before

    def test_the_config_imports_this_package(self):
        cfg = swapped('mmdet/mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'convnext_tiny')
        assert cfg.custom_imports.imports == ['convnext_dense']


def test_options_change_the_new_backbone_and_the_work_dir_has_its_name():
    cfg = load_config(
        str(CONFIGS['ours'] / MASK_RCNN.removeprefix('ours/')),
        backbone='timm/resnet18',
        cfg_options={'model.backbone.frozen_stages': 1},
    )
    assert cfg.model.backbone.frozen_stages == 1
    assert cfg.work_dir.endswith('mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco_timm-resnet18')
