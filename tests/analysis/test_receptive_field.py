"""Effective receptive fields, of networks whose receptive field is known."""

import numpy as np
import pytest
import torch
from torch import nn

from convnext_dense.analysis.receptive_field import Square, effective_fields, smallest_square
from convnext_dense.backbones import ConvNeXt

SIDE = 64
MIDDLE = SIDE // 2


class Maps(nn.Module):
    """A backbone that gives a map after each of its layers."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        return [x := layer(x) for layer in self.layers]


def conv(size, **options):
    return nn.Conv2d(3, options.pop('out', 3), size, padding=size // 2, **options)


def images(count=2):
    return [torch.rand(1, 3, SIDE, SIDE) for _ in range(count)]


def fields(backbone):
    return effective_fields(backbone, images())


def stack(size, depth=6):
    """A stack of depthwise convolutions whose weights are equal."""
    layers = [conv(size, groups=3, bias=False) for _ in range(depth)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / size**2)
    return nn.Sequential(*layers)


class TestEffectiveFields:
    @pytest.mark.parametrize('size', [1, 3, 7])
    def test_of_one_convolution_are_its_kernel(self, size):
        (field,) = fields(Maps(conv(size, out=16)))
        assert smallest_square(field, 1) == Square(MIDDLE - size // 2, MIDDLE - size // 2, size)
        assert np.count_nonzero(field) == size**2
        assert field.sum() == pytest.approx(1)

    def test_grow_from_map_to_map(self):
        found = fields(Maps(conv(3), conv(3), conv(5)))
        assert [smallest_square(field, 1).side for field in found] == [3, 5, 9]

    def test_of_convnexts_stem_are_its_patch(self):
        # Behind LayerNorm, the sum of all channels has no gradient but rounding.
        (field,) = fields(Maps(ConvNeXt('atto').downsample_layers[0]))
        assert smallest_square(field, 1) == Square(MIDDLE, MIDDLE, 4)

    def test_of_7x7_kernels_are_wider_than_of_3x3(self):
        (small,), (large,) = fields(Maps(stack(3))), fields(Maps(stack(7)))
        for part in (0.2, 0.5, 0.99):
            assert smallest_square(large, part).side >= 2 * smallest_square(small, part).side

    def test_have_the_form_of_the_gradient(self):
        network = Maps(nn.Sequential(conv(3, out=1, bias=False)))
        weights = torch.arange(27.0).reshape(1, 3, 3, 3) - 13
        network.layers[0][0].weight = nn.Parameter(weights)
        # The central pixel must be positive.
        (field,) = effective_fields(network, [weights.new_zeros(1, 3, 9, 9).index_fill_(1, torch.tensor(2), 1.0)])
        wanted = weights.abs().sum((0, 1))
        assert torch.from_numpy(field[3:6, 3:6]).float().allclose(wanted / wanted.sum())

    def test_are_means_over_images(self):
        network, both = Maps(nn.Sequential(conv(5, out=16), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2))), images()
        (mean,), *single = [effective_fields(network, part) for part in (both, both[:1], both[1:])]
        lower, upper = np.minimum(*map(np.squeeze, single)), np.maximum(*map(np.squeeze, single))
        assert (lower < upper).any()
        assert ((lower <= mean + 1e-9) & (mean - 1e-9 <= upper)).all()

    def test_are_the_same_where_activations_are_recomputed(self):
        small = dict(arch=dict(depths=[1, 1], channels=[8, 16]), out_indices=(0, 1))
        plain, recomputing = ConvNeXt(**small), ConvNeXt(**small, with_cp=True)
        recomputing.load_state_dict(plain.state_dict())
        image = images(1)
        for kept, recomputed in zip(effective_fields(plain, image), effective_fields(recomputing, image), strict=True):
            assert np.allclose(kept, recomputed, atol=1e-7)

    def test_without_gradient_are_nan(self):
        assert np.isnan(fields(Blind())).all()


class Blind(nn.Module):
    """A backbone whose maps have no gradient."""

    @torch.no_grad()
    def forward(self, x):
        return [x * 2]


class TestSmallestSquare:
    def test_holds_the_part_wherever_it_is(self):
        field = np.zeros((20, 30))
        field[2:6, 21:25] = 1
        assert smallest_square(field, 1) == Square(21, 2, 4)
        assert smallest_square(field, 0.25).side == 2

    def test_is_in_the_middle_of_what_is_flat(self):
        field = np.zeros((41, 41))
        field[10:31, 10:31] = 1
        assert smallest_square(field, 25 / 441) == Square(18, 18, 5)

    def test_grows_with_the_part(self):
        field = np.random.default_rng(0).random((32, 32))
        sides = [smallest_square(field, part).side for part in (0.1, 0.5, 0.9, 1)]
        assert sides == sorted(sides)
        assert sides[-1] == 32
