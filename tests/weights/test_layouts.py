"""Each library's own model, saved and loaded by its layout: the same feature maps, every tensor accounted for."""

from collections.abc import Callable
from typing import NamedTuple

import mmpretrain.models
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers
from helpers.backbones_and_sources import accounted, randomised, v1, v2, without_output_norms
from torch.testing import assert_close

from convnext_dense.backbones import ConvNeXt
from convnext_dense.weights import load_pretrained
from convnext_dense.weights.layouts import LAYOUTS, TIMM


class Source(NamedTuple):
    """Another library's model: its layout, our backbone of its size, its maps before output norms, its final norm."""

    layout: str
    backbone: Callable
    arch: str
    make: Callable
    maps: Callable
    final_norm: str


def timm_maps(model, x):
    return model.forward_intermediates(x, intermediates_only=True)


def of_timm(name, backbone, arch, final_norm='head.norm', **arguments):
    return Source('timm', backbone, arch, lambda: timm.create_model(name, **arguments), timm_maps, final_norm)


def of_open_clip(arch):
    return Source(
        'timm',
        v1,
        arch,
        lambda: open_clip.create_model(f'convnext_{arch}', pretrained_image=False),
        lambda model, x: timm_maps(model.visual.trunk, x),
        'visual.trunk.head.norm',
    )


def of_torchvision(arch):
    def maps(model, x):
        outputs = [x := layer(x) for layer in model.features]
        return outputs[1::2]

    return Source('torchvision', v1, arch, getattr(torchvision.models, f'convnext_{arch}'), maps, 'classifier.0')


def transformers_config(kind, arch, **more):
    depths, channels = ConvNeXt.arch_settings[arch]
    return getattr(transformers, kind)(depths=list(depths), hidden_sizes=list(channels), **more)


def of_transformers(kind, part, backbone, arch):
    return Source(
        'transformers',
        backbone,
        arch,
        lambda: getattr(transformers, f'{kind}ForImageClassification')(transformers_config(f'{kind}Config', arch)),
        lambda model, x: getattr(model, part)(x, output_hidden_states=True).hidden_states[-4:],
        f'{part}.layernorm',
    )


def of_transformers_dinov3(arch):
    return Source(
        'transformers DINOv3',
        v1,
        arch,
        lambda: transformers.DINOv3ConvNextModel(transformers_config('DINOv3ConvNextConfig', arch)),
        lambda model, x: model(x, output_hidden_states=True).hidden_states[-4:],
        'layer_norm',
    )


SOURCES = {
    'timm V1 tiny': of_timm('convnext_tiny', v1, 'tiny'),
    'timm V1 small': of_timm('convnext_small', v1, 'small'),
    'timm V1 atto, conv_mlp': of_timm('convnext_atto', v1, 'atto'),
    'timm V1 nano, conv_mlp': of_timm('convnext_nano', v1, 'nano'),
    'timm V1 tiny, norm_pre': of_timm('convnext_tiny_hnf', v1, 'tiny', 'norm_pre'),
    'timm V2 atto': of_timm('convnextv2_atto', v2, 'atto'),
    'timm V2 nano': of_timm('convnextv2_nano', v2, 'nano'),
    'timm V2 pico, conv_mlp': of_timm('convnextv2_pico', v2, 'pico', conv_mlp=True),
    'timm DINOv3 tiny': of_timm('convnext_tiny.dinov3_lvd1689m', v1, 'tiny', num_classes=0),
    'timm DINOv3 small': of_timm('convnext_small.dinov3_lvd1689m', v1, 'small', num_classes=0),
    'timm CLIP base': of_timm('convnext_base.clip_laion2b', v1, 'base', num_classes=640),
    'timm CLIP tiny, mlp head': of_timm('convnext_tiny', v1, 'tiny', head_hidden_size=64),
    'open_clip tiny': of_open_clip('tiny'),
    'open_clip small': of_open_clip('small'),
    'torchvision tiny': of_torchvision('tiny'),
    'torchvision small': of_torchvision('small'),
    'transformers V1 tiny': of_transformers('ConvNext', 'convnext', v1, 'tiny'),
    'transformers V1 small': of_transformers('ConvNext', 'convnext', v1, 'small'),
    'transformers V2 atto': of_transformers('ConvNextV2', 'convnextv2', v2, 'atto'),
    'transformers V2 nano': of_transformers('ConvNextV2', 'convnextv2', v2, 'nano'),
    'transformers DINOv3 tiny': of_transformers_dinov3('tiny'),
    'transformers DINOv3 small': of_transformers_dinov3('small'),
}


@pytest.mark.parametrize('source', SOURCES)
def test_maps_equal_the_other_librarys(source, save):
    source = SOURCES[source]
    theirs = randomised(source.make)
    weights = theirs.state_dict()
    ours = source.backbone(source.arch)

    report = load_pretrained(ours, save(weights))

    assert report.layout == source.layout
    assert accounted(report) == len(weights)
    assert report.fits
    assert not report.unexpected
    assert report.new == [f'norm{i}.{p}' for i in range(3) for p in ('weight', 'bias')]
    for p in ('weight', 'bias'):
        assert torch.equal(getattr(ours.norm3, p), weights[f'{source.final_norm}.{p}'])
    assert_same_maps(without_output_norms(ours), theirs, source.maps)


def assert_same_maps(ours, theirs, maps):
    x = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        for actual, expected in zip(ours(x), maps(theirs, x), strict=True):
            assert_close(actual, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize('linear', [True, False])
@pytest.mark.parametrize(('backbone', 'arch'), [(v1, 'tiny'), (v1, 'small'), (v2, 'atto'), (v2, 'nano')])
def test_mmpretrain_with_its_output_norms(backbone, arch, linear, save):
    ours = backbone(arch)
    theirs = randomised(
        lambda: mmpretrain.models.ConvNeXt(
            arch,
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
            linear_pw_conv=linear,
            use_grn=backbone is v2,
            layer_scale_init_value=0.0 if backbone is v2 else 1.0,
        )
    )
    classifier = {f'backbone.{name}': tensor for name, tensor in theirs.state_dict().items()}
    classifier |= {'head.fc.weight': torch.rand(10, 4), 'head.fc.bias': torch.rand(10)}

    report = load_pretrained(ours, save(dict(state_dict=classifier)))

    assert report.layout == 'mmpretrain'
    assert accounted(report) == len(classifier)
    assert report.fits
    assert not report.new
    assert report.dropped == {'outside the backbone': ['state_dict.head.fc.weight', 'state_dict.head.fc.bias']}
    assert_same_maps(ours.eval(), theirs, lambda model, x: model(x))


def test_transformers_upernet_has_all_output_norms(save):
    config = transformers_config('ConvNextConfig', 'atto', out_features=[f'stage{i}' for i in (1, 2, 3, 4)])
    theirs = randomised(
        lambda: transformers.UperNetForSemanticSegmentation(transformers.UperNetConfig(backbone_config=config))
    )
    ours = v1('atto')
    report = load_pretrained(ours, save(theirs.state_dict()))
    assert not report.new
    assert_same_maps(ours.eval(), theirs, lambda model, x: model.backbone(x).feature_maps)


def test_timm_trunks_for_features(save):
    theirs = randomised(lambda: timm.create_model('convnextv2_atto', features_only=True))
    ours = v2('atto')
    report = load_pretrained(ours, save(theirs.state_dict()))
    assert accounted(report) == len(theirs.state_dict())
    assert_same_maps(without_output_norms(ours), theirs, lambda model, x: model(x))


def test_dinov3_of_either_transformers_version(save):
    """Version 4 has no `model.` around the stages, version 5 has; the final norm stands outside of it in both."""
    weights = randomised(of_transformers_dinov3('atto').make).state_dict()
    bare = {name.removeprefix('model.'): tensor for name, tensor in weights.items()}
    wrapped = {name if name.startswith('layer_norm') else f'model.{name}': tensor for name, tensor in bare.items()}
    for each in (bare, wrapped):
        ours = v1('atto')
        assert load_pretrained(ours, save(each)).fits
        assert torch.equal(ours.norm3.weight, weights['layer_norm.weight'])


class TestTables:
    @pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
    def test_an_exported_name_comes_back(self, layout):
        for name in v2('atto').state_dict() | v1('atto').state_dict():
            theirs = layout.from_official(name)
            if theirs is not None:
                assert layout.to_official(theirs) == name

    def test_a_name_of_no_row_is_none(self):
        assert TIMM.to_official('stages.0.blocks.0.attention.weight') is None
        assert TIMM.from_official('norm0.weight') is None
