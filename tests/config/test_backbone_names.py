"""A string names a backbone: its class, its arguments, its weights, and what images are normalized by."""

import subprocess
import sys

import pytest

from convnext_dense.config.backbone.names import parse_backbone
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta

IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


class TestWeights:
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
    def test_follow_from_the_name(self, name, weights):
        assert parse_backbone(name).config['init_cfg'] == dict(type='Pretrained', checkpoint=weights)

    def test_can_be_ones_own(self):
        init_cfg = dict(type='Pretrained', checkpoint='own.pth')
        assert parse_backbone(f'timm/resnet18(init_cfg={init_cfg})').config['init_cfg'] == init_cfg
        named = parse_backbone('timm/resnet18(init_cfg=dict(type="Pretrained", checkpoint="own.pth"))')
        assert named.config['init_cfg'] == init_cfg

    def test_stay_with_arguments_that_change_no_shape(self):
        same, other = 'mmdet/SwinTransformer(drop_path_rate=0.2)', 'mmdet/SwinTransformer(embed_dims=48)'
        assert parse_backbone(same).config['convert_weights']
        assert 'init_cfg' not in parse_backbone(other).config
        assert 'init_cfg' not in parse_backbone('mmdet/ResNet(depth=50, deep_stem=True)').config

    @pytest.mark.parametrize('name', ['timm/resnet18', 'mmdet/ResNet(depth=18)'])
    def test_from_scratch_do_not_freeze_batch_norm(self, name):
        assert build_on_meta(parse_backbone(name).config, 'mmdet').norm_eval
        scratch = parse_backbone(name, pretrained=False).config
        assert 'init_cfg' not in scratch
        assert not build_on_meta(scratch, 'mmdet').norm_eval

    def test_unknown_do_not_freeze_batch_norm(self):
        assert parse_backbone('mmdet/ResNeXt(depth=50)').config['norm_eval'] is False
        assert parse_backbone('timm/resnet18(norm_eval=True)', pretrained=False).config['norm_eval']

    def test_bring_their_normalization(self):
        named = parse_backbone('convnext_tiny')
        assert (named.mean, named.std) == IMAGENET
        assert parse_backbone('timm/vit_tiny_patch16_224').mean == [127.5, 127.5, 127.5]
        assert parse_backbone('convnext_base_clip_laion2b').mean == [122.771, 116.746, 104.094]


class TestArguments:
    def test_v2_has_v2s_blocks(self):
        v2 = parse_backbone('convnextv2_tiny').config
        assert (v2['use_grn'], v2['layer_scale_init_value']) == (True, 0.0)
        assert parse_backbone('convnext_tiny').config['layer_scale_init_value'] == 1.0

    def test_go_to_the_backbone_or_to_timms_model(self):
        named = parse_backbone('timm/vit_tiny_patch16_224(depth=2, pyramid_channels=64)')
        assert named.config['model_args'] == dict(depth=2)
        assert named.config['pyramid_channels'] == 64

    @pytest.mark.parametrize(
        ('name', 'missing'),
        [
            ('convnext_tiny', set()),
            ('timm/resnet18', set()),
            ('timm/vgg11', {'drop_path_rate', 'with_cp'}),
            ('mmdet/ResNet(depth=50)', {'drop_path_rate'}),
        ],
    )
    def test_are_known_without_building_the_model(self, name, missing):
        assert {'drop_path_rate', 'with_cp'} - parse_backbone(name).parameters == missing


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('resnet50', 'no ConvNeXt of that name.*named as timm/resnet50'),
        ('convnext_tinny', 'similar names are .*convnext_tiny'),
        ('convnext_tiny_in21k', 'no such weights; those of convnext_tiny are convnext_tiny_in1k'),
        ('timm/resnet5o', "no model 'resnet5o'; similar ones are"),
        ('torchvision/resnet50', 'with one of timm, .* before the slash'),
        ('mmdet/SwinTransfomer', 'there is no mmdet.SwinTransfomer; similar names are SwinTransformer'),
        ('convnext_dense/ModernisedResNet', 'similar names are ModernizedResNet'),
        ('mmdet/ResNet', 'mmdet.ResNet cannot be built: .*depth'),
        ('mmdet/ResNet(101)', r'arguments are written as \(depth=101'),
        ('mmdet/ResNet(depth=f(1))', r'arguments are written as .*f\(1\) is no value'),
        ('timm/resnet18(out_indices=(1, 2))', 'out_indices are those that the config needs'),
        ('timm/levit_128', 'no map of stride 4, 8'),
        ('mmdet/Darknet', 'has maps of stride'),
        ('', 'a backbone is named as'),
    ],
)
def test_a_wrong_name_is_refused_in_one_sentence(name, message):
    with pytest.raises(UsageError, match=f'^backbone {name.split("(")[0]}.*{message}'):
        parse_backbone(name)


@pytest.mark.e2e
def test_a_convnext_does_not_import_timm():
    code = 'from convnext_dense.config.backbone.names import parse_backbone as parse; parse("convnext_tiny")'
    subprocess.run([sys.executable, '-c', f'import sys; {code}; assert "timm" not in sys.modules'], check=True)
