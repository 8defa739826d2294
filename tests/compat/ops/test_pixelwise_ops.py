"""CARAFE, PSAMask and the masked convolution, against formulas in float64."""

import pytest
import torch
from mmcv import ops
from torch.testing import assert_close


def random(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def carafe_formula(features, masks, kernel_size, groups, scale):
    """Each pixel of the output is a weighted sum of the pixels around its place in the features."""
    images, channels, height, width = features.shape
    out = features.new_zeros(images, channels, height * scale, width * scale)
    radius = kernel_size // 2
    for y in range(height * scale):
        for x in range(width * scale):
            for tap in range(kernel_size**2):
                row, column = y // scale + tap // kernel_size - radius, x // scale + tap % kernel_size - radius
                if 0 <= row < height and 0 <= column < width:
                    weights = masks[:, tap :: kernel_size**2, y, x].repeat_interleave(channels // groups, dim=1)
                    out[:, :, y, x] += features[:, :, row, column] * weights
    return out


class TestCarafe:
    @pytest.mark.parametrize(('kernel_size', 'groups', 'scale'), [(3, 2, 2), (5, 1, 3), (1, 4, 1)])
    def test_equals_the_formula(self, kernel_size, groups, scale):
        features, masks = random(2, 4, 3, 5), random(2, groups * kernel_size**2, 3 * scale, 5 * scale)
        inputs, references = ([tensor.clone().requires_grad_() for tensor in (features, masks)] for _ in range(2))
        out = ops.carafe(*inputs, kernel_size, groups, scale)
        expected = carafe_formula(*references, kernel_size, groups, scale)
        assert_close(out, expected)
        gradient = random(*out.shape)
        out.backward(gradient)
        expected.backward(gradient)
        for tensor, reference in zip(inputs, references, strict=True):
            assert_close(tensor.grad, reference.grad)

    def test_the_naive_form_is_the_same(self):
        features, masks = random(2, 4, 3, 5), random(2, 18, 6, 10)
        assert_close(ops.carafe_naive(features, masks, 3, 2, 2), ops.carafe(features, masks, 3, 2, 2))

    def test_the_layer_trains_on_channels_last_maps_in_bf16(self):
        layer = ops.CARAFEPack(4, 2)
        features = random(2, 4, 5, 6).float().contiguous(memory_format=torch.channels_last)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out = layer(features)
        out.float().square().sum().backward()
        assert out.shape == (2, 4, 10, 12)
        assert layer.channel_compressor.weight.grad.isfinite().all()


def psa_formula(masks, size, kind):
    """Each pixel's mask is laid over the map with its center on the pixel."""
    images, _, height, width = masks.shape
    out = masks.new_zeros(images, height * width, height, width)
    for h in range(height):
        for w in range(width):
            for row in range(size[0]):
                for column in range(size[1]):
                    y, x = h + row - (size[0] - 1) // 2, w + column - (size[1] - 1) // 2
                    if 0 <= y < height and 0 <= x < width:
                        value = masks[:, row * size[1] + column, h, w]
                        if kind == 'collect':
                            out[:, y * width + x, h, w] = value
                        else:
                            out[:, h * width + w, y, x] = value
    return out


class TestPSAMask:
    @pytest.mark.parametrize('kind', ['collect', 'distribute'])
    @pytest.mark.parametrize('size', [(3, 5), (4, 4), (9, 11)])
    def test_equals_the_formula(self, kind, size):
        masks, reference = (random(2, size[0] * size[1], 4, 5).requires_grad_() for _ in range(2))
        out, expected = ops.PSAMask(kind, size)(masks), psa_formula(reference, size, kind)
        assert torch.equal(out, expected)
        gradient = random(*out.shape)
        out.backward(gradient)
        expected.backward(gradient)
        assert torch.equal(masks.grad, reference.grad)


class TestMaskedConv2d:
    @pytest.mark.parametrize(('kernel', 'padding'), [(3, 1), ((1, 5), (0, 2))])
    def test_it_is_a_convolution_in_the_mask_and_zero_elsewhere(self, kernel, padding):
        layer = ops.MaskedConv2d(3, 4, kernel, padding=padding).double()
        x, mask = random(1, 3, 6, 7), random(1, 6, 7) > 0
        expected = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=padding)
        assert_close(layer(x, mask), expected * mask)

    def test_an_empty_mask(self):
        assert not ops.MaskedConv2d(3, 4, 3, padding=1)(random(1, 3, 6, 7).float(), torch.zeros(1, 6, 7)).any()
