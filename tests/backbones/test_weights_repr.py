"""What a backbone says its weights are."""

import pytest
import torch

from convnext_dense.backbones import ConvNeXt, ModernizedResNet, TimmBackbone

BUILD = {
    'ConvNeXt': lambda **settings: ConvNeXt(dict(depths=[1, 1, 1, 1], channels=[4, 8, 8, 8]), **settings),
    'ModernizedResNet': ModernizedResNet,
    'TimmBackbone': lambda **settings: TimmBackbone('resnet18', **settings),
}


def weights(backbone):
    """The last line of a backbone's repr."""
    return repr(backbone).splitlines()[-1]


@pytest.mark.parametrize('build', BUILD.values(), ids=BUILD)
class TestWeights:
    def test_are_random_as_built(self, build):
        assert weights(build()) == 'weights: random, because init_weights() was not called'

    def test_are_random_once_initialized(self, build):
        backbone = build()
        backbone.init_weights()
        assert weights(backbone).startswith('weights: random, ')
        assert 'not called' not in weights(backbone)

    def test_are_a_files_once_it_is_loaded(self, build, tmp_path):
        file = tmp_path / 'weights.pth'
        torch.save(build().state_dict(), file)
        backbone = build(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
        assert weights(backbone) == 'weights: random, because init_weights() was not called'
        backbone.init_weights()
        assert weights(backbone) == f'weights: {file}'

    def test_are_a_state_dicts_once_it_is_loaded(self, build):
        model = torch.nn.ModuleDict(dict(backbone=build()))
        model.load_state_dict(model.state_dict())
        assert weights(model['backbone']) == 'weights: loaded from a state dict'
