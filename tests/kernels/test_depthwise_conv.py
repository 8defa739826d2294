"""The depthwise convolution, and LayerNorm after it, are PyTorch's, and so are their gradients."""

import pytest
import torch
import torch.nn.functional as F

from convnext_dense.kernels import depthwise_conv, depthwise_conv_norm
from convnext_dense.kernels.depthwise_conv import launch as depthwise_conv_launch

EPS = 1e-6


def convolution(x, weight, bias):
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=weight.shape[-1] // 2, groups=x.shape[-1])
    return y.permute(0, 2, 3, 1)


def convolution_and_norm(x, weight, bias):
    return F.layer_norm(convolution(x, weight, bias), (x.shape[-1],), eps=EPS)


def fused(x, weight, bias):
    return depthwise_conv_norm(x, weight, bias, EPS, x.dtype)[0]


@pytest.fixture
def inputs(random):
    """Make a map, weights and biases."""

    def make(images, height, width, channels, kernel_size, dtype=torch.float32):
        return [
            random(images, height, width, channels, dtype=dtype),
            random(channels, 1, kernel_size, kernel_size, deviation=1 / kernel_size, dtype=dtype),
            random(channels, dtype=dtype),
        ]

    return make


@pytest.fixture(params=[0, 1, 2, 3, 4, 5])
def candidate(request, monkeypatch):
    """Launch by each of the candidates that tuning may choose."""

    def launch_by(kernel, code, x, candidates, launch):
        return launch(candidates[request.param % len(candidates)])

    monkeypatch.setattr(depthwise_conv_launch, 'tune', launch_by)


@pytest.mark.parametrize(
    'shape',
    [
        (1, 5, 9, 40, 7),  # ConvNeXt's kernel; rows and columns that fill no tile
        (3, 3, 2, 96, 5),
        (1, 2, 3, 17, 11),  # a kernel larger than the map; odd channels
        (2, 7, 17, 24, 1),
        (1, 3, 4, 1040, 3),  # too many channels for one program
        (1, 2, 5, 2816, 3),  # the widest ConvNeXt's
    ],
)
def test_the_fused_norm_is_pytorchs_at_every_size(inputs, check, shape):
    check(fused, convolution_and_norm, inputs(*shape))


def test_every_tile_and_both_ways_through_the_norm_give_the_same(inputs, check, candidate):
    check(fused, convolution_and_norm, inputs(2, 6, 9, 20, 3))


@pytest.mark.parametrize('shape', [(2, 5, 9, 40, 7), (1, 3, 4, 150, 3)])
def test_the_convolution_alone_is_pytorchs(inputs, check, shape):
    check(lambda x, *rest: depthwise_conv(x, *rest, x.dtype), convolution, inputs(*shape))


@pytest.mark.parametrize(
    ('shape', 'dtype'),
    [
        ((2, 5, 6, 40, 3), torch.bfloat16),
        ((2, 5, 6, 40, 3), torch.float16),
        ((1, 3, 4, 1040, 3), torch.bfloat16),
    ],
)
def test_half_precision_errs_no_more_than_pytorch(inputs, check, shape, dtype):
    check(fused, convolution_and_norm, inputs(*shape, dtype), low=dtype)


def test_a_float32_map_gives_a_half_precision_one_and_a_float32_gradient(inputs):
    x, weight, bias = inputs(1, 4, 5, 24, 3)
    normed, rstd = depthwise_conv_norm(x, weight, bias, EPS, torch.bfloat16)
    normed.sum().backward()
    assert (normed.dtype, rstd.dtype) == (torch.bfloat16, torch.float32)
    assert {each.grad.dtype for each in (x, weight, bias)} == {torch.float32}


def test_a_map_that_is_not_contiguous_is_taken(inputs, check):
    def transposed(function):
        return lambda x, *rest: function(x.transpose(1, 2), *rest)

    check(transposed(fused), transposed(convolution_and_norm), inputs(1, 4, 7, 24, 3))


def test_gradients_are_the_same_bit_by_bit_in_every_run(inputs):
    given = inputs(2, 5, 18, 24, 3)

    def gradients():
        return torch.autograd.grad(fused(*given).square().mul(0.3).sum(), given)

    assert all(map(torch.equal, gradients(), gradients()))


class TestBadInput:
    @pytest.mark.parametrize('size', [4, 13])
    def test_a_kernel_that_is_even_or_too_large_is_named(self, inputs, size):
        with pytest.raises(ValueError, match=r'weight must be \(24, 1, K, K\).* K odd and at most 11'):
            fused(*inputs(1, 4, 4, 24, size))

    def test_a_bias_of_another_length_is_named(self, inputs):
        x, weight, bias = inputs(1, 4, 4, 24, 3)
        with pytest.raises(ValueError, match=r'bias must be \(24,\); got \(23,\)'):
            fused(x, weight, bias[1:])

    def test_a_map_of_three_dimensions_is_named(self, inputs):
        x, weight, bias = inputs(1, 4, 4, 24, 3)
        with pytest.raises(ValueError, match=r'x must be \(N, H, W, C\); got \(4, 4, 24\)'):
            fused(x[0], weight, bias)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
    def test_another_device_is_named(self, inputs):
        x, weight, bias = inputs(1, 4, 4, 24, 3)
        with pytest.raises(ValueError, match=r'weight and bias must be on cuda:0, as x is; got cpu'):
            fused(x, weight.detach().cpu(), bias)

    def test_float64_is_refused(self, inputs):
        with pytest.raises(ValueError, match=r'float32, float16 or bfloat16.* got torch.float64'):
            fused(*(each.double() for each in inputs(1, 4, 4, 24, 3)))
