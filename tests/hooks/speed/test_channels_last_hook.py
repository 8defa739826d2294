"""Models in the channels-last memory format, and the optimizers that follow them."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.hooks import ChannelsLastHook
from convnext_dense.hooks.speed.channels_last_hook import to_channels_last


class TestToChannelsLast:
    def test_every_feature_map_becomes_channels_last(self):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ConvTranspose2d(8, 4, 2, 2)
        )
        to_channels_last(model)
        maps = torch.rand(2, 3, 17, 17)
        for layer in model:
            maps = layer(maps)
            assert maps.is_contiguous(memory_format=torch.channels_last)
            assert not maps.is_contiguous()

    def test_no_weight_changes_its_value(self):
        backbone = ConvNeXt(dict(depths=[1, 1], channels=[8, 16]), out_indices=1, use_grn=True)
        before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
        assert to_channels_last(backbone) > 0
        assert to_channels_last(backbone) == 0
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(tensor, before[name])


def fused_adamw(values, memory_format):
    return torch.optim.AdamW([nn.Parameter(values.clone(memory_format=memory_format))], lr=0.1, fused=True)


def step(optimizer, values):
    (param,) = optimizer.param_groups[0]['params']
    (param * (values * 2 - 1)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return param


class TestChannelsLastHook:
    @pytest.mark.parametrize('target', [torch.channels_last, torch.contiguous_format])
    def test_loaded_averages_follow_the_weights(self, target):
        (source,) = {torch.channels_last, torch.contiguous_format} - {target}
        values = torch.rand(4, 3, 5, 5)
        first, second = fused_adamw(values, source), fused_adamw(values, target)
        step(first, values)
        with torch.no_grad():
            second.param_groups[0]['params'][0].copy_(first.param_groups[0]['params'][0])
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        runner = SimpleNamespace(model=nn.Module(), optim_wrapper=OptimWrapper(second), hooks=[])
        ChannelsLastHook().before_train(runner)
        # Without the hook, the fused kernel pairs averages with other weights.
        torch.testing.assert_close(step(second, values), step(first, values))
