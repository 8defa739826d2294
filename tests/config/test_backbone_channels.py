"""Every way in which mmdet's and mmseg's models name the channels that they take."""

import re

import pytest
from helpers.swaps import MASK_RCNN, UPERNET, swap

from convnext_dense.config.backbone import channels
from convnext_dense.meta_device import build_on_meta

ATTO = [40, 80, 160, 320]
DEEPLAB = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py'
DINO = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'
FASTFCN = 'mmseg::fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-80k_ade20k-512x512.py'
KNET = 'mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py'
VIT_UPERNET = 'mmseg::vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512.py'


class TestInChannels:
    @pytest.mark.parametrize(
        ('name', 'parts'),
        [
            (MASK_RCNN, {'neck': ATTO}),
            (UPERNET, {'decode_head': ATTO, 'auxiliary_head': 160}),
            ('mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', {'neck': ATTO}),
            ('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', {'neck': ATTO}),
            ('mmdet::libra_rcnn/libra-fast-rcnn_r50_fpn_1x_coco.py', {'neck.0': ATTO}),
            ('mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py', {'neck': ATTO[:0:-1]}),
            ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', {'neck': ATTO[1:]}),
            ('mmdet::ssd/ssd300_coco.py', {'neck': (80, 160), 'bbox_head': (80, 160, 512, 256, 256, 256)}),
            ('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py', {'neck': 320}),
            (DINO, {'neck': ATTO[1:]}),
            ('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', {'panoptic_head': ATTO}),
            ('mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py', {'decode_head': 320}),
            (DEEPLAB, {'decode_head': 320}),
            ('mmseg::encnet/encnet_r50-d8_4xb4-80k_ade20k-512x512.py', {'decode_head': ATTO[1:]}),
            ('mmseg::ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512.py', {'decode_head.1': ATTO}),
            (KNET, {'decode_head.kernel_generate_head': 320}),
            (FASTFCN, {'neck': tuple(ATTO[1:]), 'auxiliary_head': 160}),
            ('mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py', {'decode_head': ATTO}),
            ('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', {'decode_head': ATTO}),
            (VIT_UPERNET, {'decode_head': ATTO}),
        ],
    )
    def test_are_fitted_and_the_model_builds(self, name, parts):
        cfg = swap(name, 'convnext_atto')
        for part, in_channels in parts.items():
            node = cfg.model
            for key in part.split('.'):
                node = node[int(key)] if key.isdigit() else node[key]
            assert node.in_channels == in_channels
        model = build_on_meta(cfg.model, cfg.default_scope)
        assert type(model.backbone).__name__ == 'ConvNeXt'

    def test_of_deeplabs_first_map_are_fitted_too(self):
        assert swap(DEEPLAB, 'convnext_atto').model.decode_head.c1_in_channels == 40

    def test_follow_a_removed_pyramid_neck(self):
        cfg = swap(VIT_UPERNET, 'timm/vit_tiny_patch16_224(depth=1)')
        assert 'neck' not in cfg.model
        assert cfg.model.decode_head.in_channels == [256] * 4


def test_a_head_that_upsamples_beyond_the_image_is_a_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(channels, 'print_log', lambda line, **_: lines.append(line))
    swap('mmseg::setr/setr_vit-l_pup_8xb2-160k_ade20k-512x512.py', 'convnext_atto')
    sizes = [re.search(r'(\w+) \(SETRUPHead\) makes maps of (\d+) px of images of 512 px', line) for line in lines]
    assert [size.groups() for size in sizes] == [('auxiliary_head', '2048'), ('auxiliary_head', '1024')]
    swap(UPERNET, 'convnext_atto')
    assert len(lines) == 2


class TestOutIndices:
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
    def test_give_the_strides_that_the_config_needs(self, backbone, channels, out_indices):
        cfg = swap(DINO, backbone)
        assert cfg.model.neck.in_channels == channels
        assert list(cfg.model.backbone.out_indices) == out_indices


class TestUnusedMaps:
    # PSPNet takes the last two maps, DeepLabV3+ also the first. RetinaNet's FPN skips the first.
    @pytest.mark.parametrize(
        ('name', 'unused'),
        [
            (UPERNET, False),
            (MASK_RCNN, False),
            ('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', False),
            ('mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py', True),
            (DEEPLAB, True),
            ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', True),
        ],
    )
    def test_do_not_block_distributed_training(self, name, unused):
        assert swap(name, 'convnext_atto').get('find_unused_parameters', False) is unused
