"""Checkpoints written in another layout."""

import mmpretrain.models
import pytest
import timm
import torch
from helpers.weights.backbones_and_sources import SMALL, random_state, v1, v2
from safetensors.torch import load_file

from convnext_dense.errors import CheckpointError
from convnext_dense.weights import convert_checkpoint, load_pretrained
from convnext_dense.weights.recognize import flatten
from convnext_dense.weights.storage.files import read_file


def is_earlier_norm(name):
    return name.startswith(('norm0', 'norm1', 'norm2'))


class TestRoundTrips:
    def check(self, backbone, layout, suffix, save, tmp_path):
        weights = random_state(backbone)
        if layout == 'timm':
            # timm has one norm, after the last stage.
            weights = {name: t for name, t in weights.items() if not is_earlier_norm(name)}
        there, back = tmp_path / f'there{suffix}', tmp_path / f'back{suffix}'
        convert_checkpoint(save(weights), there, layout)
        convert_checkpoint(str(there), back)
        restored = flatten(read_file(back))
        restored = {name.removeprefix('state_dict.'): tensor for name, tensor in restored.items()}
        assert restored.keys() == weights.keys()
        for name, tensor in weights.items():
            assert torch.equal(restored[name], tensor), name

    @pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
    @pytest.mark.parametrize('layout', ['ours', 'mmpretrain', 'timm'])
    @pytest.mark.parametrize('make', [v1, v2])
    def test_are_bit_identical(self, make, layout, suffix, save, tmp_path):
        self.check(make(), layout, suffix, save, tmp_path)

    @pytest.mark.parametrize('make', [v1, v2])
    def test_through_1x1_convolutions_are_bit_identical(self, make, save, tmp_path):
        """timm has these in place of linear layers, from atto to nano."""
        self.check(make('atto'), 'timm', '.pth', save, tmp_path)

    def test_say_what_timm_has_no_place_for(self, save, tmp_path):
        said = convert_checkpoint(save(random_state(v1())), tmp_path / 'x.pth', 'timm')
        assert 'left out: norm0.weight, norm0.bias, norm1.weight, norm1.bias and 2 more' in said


class TestOtherLibrariesLoadIt:
    @pytest.mark.parametrize(
        ('make', 'arch', 'name'),
        [
            (v1, SMALL, 'convnext_tiny'),
            (v1, 'atto', 'convnext_atto'),
            (v2, 'atto', 'convnextv2_atto'),
            pytest.param(v1, 'tiny', 'convnext_tiny', marks=pytest.mark.full),
        ],
    )
    def test_timm(self, make, arch, name, save, tmp_path):
        weights = random_state(make(arch))
        file = tmp_path / 'x.safetensors'
        convert_checkpoint(save(weights), file, 'timm')
        size = dict(depths=SMALL['depths'], dims=SMALL['channels']) if arch is SMALL else {}
        theirs = timm.create_model(name, num_classes=0, checkpoint_path=file, **size)
        assert torch.equal(theirs.head.norm.weight, weights['norm3.weight'])
        assert torch.equal(theirs.stages[2].blocks[1].mlp.fc2.weight.flatten(1), weights['stages.2.1.pwconv2.weight'])

    @pytest.mark.parametrize('make', [v1, v2])
    def test_mmpretrain(self, make, save, tmp_path):
        weights = random_state(make())
        convert_checkpoint(save(weights), tmp_path / 'x.pth', 'mmpretrain')
        theirs = mmpretrain.models.ConvNeXt(
            SMALL,
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
            use_grn=make is v2,
            layer_scale_init_value=0.0 if make is v2 else 1.0,
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'), prefix='backbone.'),
        )
        theirs.init_weights()
        assert torch.equal(theirs.norm2.bias, weights['norm2.bias'])
        assert torch.equal(theirs.stages[2][1].pointwise_conv2.weight, weights['stages.2.1.pwconv2.weight'])


class TestWholeModels:
    @pytest.fixture
    def trained(self, save):
        """A training checkpoint of a model with a ConvNeXt, and its weights."""
        weights = {f'backbone.{name}': t for name, t in random_state(v1()).items()}
        weights |= {'neck.conv.weight': torch.rand(2, 2), 'head.fc.bias': torch.rand(2)}
        meta = dict(epoch=3, dataset_meta=dict(classes=('a', 'b')))
        optimizer = dict(state={0: dict(exp_avg=torch.rand(100, 100))}, param_groups=[])
        return save(dict(meta=meta, state_dict=weights, optimizer=optimizer)), weights

    def test_are_slimmed_to_their_weights(self, trained, tmp_path):
        source, weights = trained
        said = convert_checkpoint(source, tmp_path / 'x.safetensors')
        slim = load_file(tmp_path / 'x.safetensors')
        assert slim.keys() == weights.keys()
        assert all(torch.equal(slim[name], t) for name, t in weights.items())
        assert 'left out, outside the backbone: optimizer (1)' in said
        assert list(read_file(tmp_path / 'x.safetensors')['meta']['dataset_meta']['classes']) == ['a', 'b']

    def test_get_mmpretrains_names_in_the_backbone(self, trained, tmp_path):
        source, weights = trained
        convert_checkpoint(source, tmp_path / 'x.pth', 'mmpretrain')
        renamed = read_file(tmp_path / 'x.pth')['state_dict']
        assert torch.equal(
            renamed['backbone.stages.0.0.depthwise_conv.bias'], weights['backbone.stages.0.0.dwconv.bias']
        )
        assert torch.equal(renamed['neck.conv.weight'], weights['neck.conv.weight'])

    @pytest.mark.parametrize(('layout', 'backbone_only'), [('ours', True), ('timm', False)])
    def test_give_their_backbone_alone(self, layout, backbone_only, trained, tmp_path):
        source, weights = trained
        said = convert_checkpoint(source, tmp_path / 'x.pth', layout, backbone_only)
        assert 'left out, outside the backbone: neck (1), head (1), optimizer (1)' in said
        ours = v1()
        report = load_pretrained(ours, str(tmp_path / 'x.pth'))
        assert report.fits
        assert not report.dropped
        assert torch.equal(ours.norm3.weight, weights['backbone.norm3.weight'])


class TestMistakes:
    def test_a_model_without_a_convnext(self, save, tmp_path):
        with pytest.raises(CheckpointError, match='holds no ConvNeXt'):
            convert_checkpoint(save({'conv1.weight': torch.rand(2)}), tmp_path / 'x.pth')
        assert not (tmp_path / 'x.pth').exists()

    def test_an_unknown_layout(self, tmp_path):
        with pytest.raises(CheckpointError, match='one of ours, mmpretrain, timm'):
            convert_checkpoint('a.pth', tmp_path / 'x.pth', 'keras')
