"""Models of other libraries, saved and loaded by their layout: equal feature maps, every tensor accounted for."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import mmpretrain.models
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers
from helpers.weights.backbones_and_sources import (
    SMALL,
    depths_and_channels,
    num_reported,
    randomized,
    v1,
    v2,
    without_output_norms,
)
from torch.testing import assert_close
from torchvision.models.convnext import CNBlockConfig

from convnext_dense.backbones import ConvNeXt
from convnext_dense.weights import load_pretrained
from convnext_dense.weights.layouts import LAYOUTS, TIMM


class Source(NamedTuple):
    """Another library's model: its layout, our backbone of its size, its maps before output norms, its final norm."""

    layout: str
    backbone: Callable[[], ConvNeXt]
    make: Callable[[], torch.nn.Module]
    maps: Callable
    final_norm: str


def timm_maps(model, x):
    return model.forward_intermediates(x, intermediates_only=True)


def of_timm(name, backbone, arch=SMALL, final_norm='head.norm', **arguments):
    if arch is SMALL:
        arguments |= dict(depths=SMALL['depths'], dims=SMALL['channels'])
    make = partial(timm.create_model, name, **arguments)
    return Source('timm', partial(backbone, arch), make, timm_maps, final_norm)


def of_open_clip(make, arch):
    def maps(model, x):
        return timm_maps(model.visual.trunk, x)

    return Source('timm', partial(v1, arch), make, maps, 'visual.trunk.head.norm')


def small_open_clip():
    text = dict(width=32, heads=1, layers=1, vocab_size=100)
    return open_clip.CLIP(32, dict(timm_model_name='convnext_atto', timm_pool='', image_size=64), text)


def of_torchvision(make, arch=SMALL):
    def maps(model, x):
        outputs = [x := layer(x) for layer in model.features]
        return outputs[1::2]

    return Source('torchvision', partial(v1, arch), make, maps, 'classifier.0')


def small_torchvision():
    depths, channels = depths_and_channels(SMALL)
    out_channels = [*channels[1:], None]
    return torchvision.models.ConvNeXt(list(map(CNBlockConfig, channels, out_channels, depths)))


def transformers_config(kind, arch=SMALL, **more):
    depths, channels = depths_and_channels(arch)
    return getattr(transformers, kind)(depths=list(depths), hidden_sizes=list(channels), **more)


def of_transformers(kind, part, backbone, arch=SMALL):
    return Source(
        'transformers',
        partial(backbone, arch),
        lambda: getattr(transformers, f'{kind}ForImageClassification')(transformers_config(f'{kind}Config', arch)),
        lambda model, x: getattr(model, part)(x, output_hidden_states=True).hidden_states[-4:],
        f'{part}.layernorm',
    )


def of_transformers_dinov3(arch=SMALL):
    return Source(
        'transformers DINOv3',
        partial(v1, arch),
        lambda: transformers.DINOv3ConvNextModel(transformers_config('DINOv3ConvNextConfig', arch)),
        lambda model, x: model(x, output_hidden_states=True).hidden_states[-4:],
        'layer_norm',
    )


SOURCES = {
    'timm V1': of_timm('convnext_tiny', v1),
    'timm V1, conv_mlp': of_timm('convnext_atto', v1),
    'timm V1, norm_pre': of_timm('convnext_tiny_hnf', v1, final_norm='norm_pre'),
    'timm V2': of_timm('convnextv2_tiny', v2),
    'timm V2, conv_mlp': of_timm('convnextv2_pico', v2, conv_mlp=True),
    'timm DINOv3': of_timm('convnext_tiny.dinov3_lvd1689m', v1, num_classes=0),
    'timm EUPE': of_timm('convnext_tiny.eupe_lvd1689m', v1, num_classes=0),
    'timm CLIP': of_timm('convnext_base.clip_laion2b', v1, num_classes=640),
    'timm CLIP, mlp head': of_timm('convnext_tiny', v1, head_hidden_size=64),
    'open_clip': of_open_clip(small_open_clip, 'atto'),
    'torchvision': of_torchvision(small_torchvision),
    'transformers V1': of_transformers('ConvNext', 'convnext', v1),
    'transformers V2': of_transformers('ConvNextV2', 'convnextv2', v2),
    'transformers DINOv3': of_transformers_dinov3(),
}
FULL_SIZE = {
    'timm V1 tiny': of_timm('convnext_tiny', v1, 'tiny'),
    'timm V2 nano': of_timm('convnextv2_nano', v2, 'nano'),
    'open_clip tiny': of_open_clip(partial(open_clip.create_model, 'convnext_tiny', pretrained_image=False), 'tiny'),
    'torchvision tiny': of_torchvision(torchvision.models.convnext_tiny, 'tiny'),
    'transformers V1 tiny': of_transformers('ConvNext', 'convnext', v1, 'tiny'),
    'transformers DINOv3 tiny': of_transformers_dinov3('tiny'),
}


def assert_same_maps(ours, theirs, maps):
    x = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        for actual, expected in zip(ours(x), maps(theirs, x), strict=True):
            assert_close(actual, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


class TestClassifiers:
    def check(self, source, save):
        theirs = randomized(source.make)
        weights = theirs.state_dict()
        ours = source.backbone()

        report = load_pretrained(ours, save(weights))

        assert report.layout == source.layout
        assert num_reported(report) == len(weights)
        assert report.fits
        assert not report.outside_block
        assert report.new == [f'norm{i}.{p}' for i in range(3) for p in ('weight', 'bias')]
        for p in ('weight', 'bias'):
            assert torch.equal(getattr(ours.norm3, p), weights[f'{source.final_norm}.{p}'])
        assert_same_maps(without_output_norms(ours), theirs, source.maps)

    @pytest.mark.parametrize('name', SOURCES)
    def test_give_the_librarys_maps(self, name, save):
        self.check(SOURCES[name], save)

    @pytest.mark.full
    @pytest.mark.parametrize('name', FULL_SIZE)
    def test_of_full_size_give_the_librarys_maps(self, name, save):
        self.check(FULL_SIZE[name], save)


class TestBackbones:
    """Models with a norm for each output, or with underscores in their names."""

    @pytest.mark.parametrize(
        ('backbone', 'arch', 'linear'),
        [
            (v1, SMALL, True),
            (v1, SMALL, False),
            (v2, SMALL, True),
            (v2, SMALL, False),
            pytest.param(v1, 'tiny', True, marks=pytest.mark.full),
        ],
    )
    def test_of_mmpretrain(self, backbone, arch, linear, save):
        ours = backbone(arch)
        theirs = randomized(
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
        assert num_reported(report) == len(classifier)
        assert report.fits
        assert not report.new
        assert report.dropped == {'outside the backbone': ['state_dict.head.fc.weight', 'state_dict.head.fc.bias']}
        assert_same_maps(ours.eval(), theirs, lambda model, x: model(x))

    def test_of_transformers_upernet(self, save):
        config = transformers_config('ConvNextConfig', out_features=[f'stage{i}' for i in (1, 2, 3, 4)])
        config = transformers.UperNetConfig(backbone_config=config, hidden_size=32, auxiliary_channels=16)
        theirs = randomized(lambda: transformers.UperNetForSemanticSegmentation(config))
        ours = v1()
        report = load_pretrained(ours, save(theirs.state_dict()))
        assert not report.new
        assert_same_maps(ours.eval(), theirs, lambda model, x: model.backbone(x).feature_maps)

    def test_of_timm_for_features_only(self, save):
        size = dict(depths=SMALL['depths'], dims=SMALL['channels'])
        theirs = randomized(lambda: timm.create_model('convnextv2_atto', features_only=True, **size))
        ours = v2()
        report = load_pretrained(ours, save(theirs.state_dict()))
        assert num_reported(report) == len(theirs.state_dict())
        assert_same_maps(without_output_norms(ours), theirs, lambda model, x: model(x))

    def test_of_dinov3_in_either_transformers_version(self, save):
        """Version 4 has no `model.` around the stages, version 5 has; the final norm is outside of it in both."""
        weights = randomized(of_transformers_dinov3().make).state_dict()
        bare = {name.removeprefix('model.'): tensor for name, tensor in weights.items()}
        wrapped = {name if name.startswith('layer_norm') else f'model.{name}': tensor for name, tensor in bare.items()}
        for version in (bare, wrapped):
            ours = v1()
            assert load_pretrained(ours, save(version)).fits
            assert torch.equal(ours.norm3.weight, weights['layer_norm.weight'])


class TestTables:
    @pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
    def test_an_exported_name_comes_back(self, layout):
        for name in v2().state_dict() | v1().state_dict():
            exported = layout.from_official(name)
            if exported is not None:
                assert layout.to_official(exported) == name

    def test_a_name_of_no_row_is_none(self):
        assert TIMM.to_official('stages.0.blocks.0.attention.weight') is None
        assert TIMM.from_official('norm0.weight') is None
