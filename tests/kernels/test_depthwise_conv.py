"""The depthwise convolution, the LayerNorm after it, and their gradients equal PyTorch's."""

import pytest
import torch
import torch.nn.functional as F

from convnext_dense.kernels import depthwise_conv_norm
from convnext_dense.kernels.depthwise_conv import launch as depthwise_conv_launch

EPS = 1e-6


def reference(x, weight, bias):
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=weight.shape[-1] // 2, groups=x.shape[-1])
    return F.layer_norm(y.permute(0, 2, 3, 1), (x.shape[-1],), eps=EPS)


def fused(x, weight, bias):
    return depthwise_conv_norm(x, weight, bias, EPS, x.dtype)[0]


@pytest.fixture
def inputs(random):
    """Make a map, a weight and a bias."""

    def make(images, height, width, channels, kernel_size, dtype=torch.float32):
        return [
            random(images, height, width, channels, dtype=dtype),
            random(channels, 1, kernel_size, kernel_size, deviation=1 / kernel_size, dtype=dtype),
            random(channels, dtype=dtype),
        ]

    return make


@pytest.fixture
def candidate(request, monkeypatch):
    """Launch with the candidate of this index, of those that tuning may choose."""

    def tune(kernel, code, x, candidates, launch):
        assert len(candidates) <= 6
        return launch(candidates[request.param % len(candidates)])

    monkeypatch.setattr(depthwise_conv_launch, 'tune', tune)


class TestDepthwiseConvNorm:
    @pytest.mark.parametrize(
        'shape',
        [
            (1, 5, 9, 24, 7),  # ConvNeXt's kernel size; no tile is full
            pytest.param((3, 3, 2, 40, 5), marks=pytest.mark.kernels),
            pytest.param((1, 2, 3, 17, 11), marks=pytest.mark.kernels),  # a kernel larger than the map; odd channels
            pytest.param((2, 7, 17, 24, 1), marks=pytest.mark.kernels),
            pytest.param((1, 3, 4, 1040, 3), marks=pytest.mark.full),  # too many channels for one program
            pytest.param((1, 2, 5, 2816, 3), marks=pytest.mark.full),  # the widest ConvNeXt
        ],
    )
    def test_equals_pytorch(self, inputs, check, shape):
        check(fused, reference, inputs(*shape))

    @pytest.mark.kernels
    @pytest.mark.parametrize('dtype', [None, torch.bfloat16])
    def test_equals_pytorch_with_the_norm_as_second_kernel(self, inputs, check, monkeypatch, dtype):
        monkeypatch.setattr(depthwise_conv_launch, 'MAX_FUSED_CHANNELS', 32)
        check(fused, reference, inputs(1, 3, 4, 40, 3, dtype or torch.float32), low=dtype)

    @pytest.mark.parametrize(
        'candidate',
        [pytest.param(i, marks=pytest.mark.kernels if i in (1, 4) else pytest.mark.full) for i in range(6)],
        indirect=True,
    )
    def test_equals_pytorch_with_every_candidate(self, inputs, check, candidate):
        check(fused, reference, inputs(2, 6, 9, 20, 3))

    @pytest.mark.parametrize(
        ('shape', 'dtype'),
        [
            pytest.param((2, 5, 6, 40, 3), torch.bfloat16, marks=pytest.mark.kernels),
            pytest.param((2, 5, 6, 40, 3), torch.float16, marks=pytest.mark.kernels),
            pytest.param((1, 3, 4, 1040, 3), torch.bfloat16, marks=pytest.mark.full),
        ],
    )
    def test_half_precision_errs_no_more_than_pytorch(self, inputs, check, shape, dtype):
        check(fused, reference, inputs(*shape, dtype), low=dtype)

    @pytest.mark.kernels
    def test_half_precision_map_gives_float32_gradients(self, inputs):
        x, weight, bias = inputs(1, 4, 5, 24, 3)
        normed, rstd = depthwise_conv_norm(x, weight, bias, EPS, torch.bfloat16)
        normed.sum().backward()
        assert (normed.dtype, rstd.dtype) == (torch.bfloat16, torch.float32)
        assert {tensor.grad.dtype for tensor in (x, weight, bias)} == {torch.float32}

    @pytest.mark.kernels
    def test_takes_a_map_that_is_not_contiguous(self, inputs, check):
        def transposed(function):
            return lambda x, *weights: function(x.transpose(1, 2), *weights)

        check(transposed(fused), transposed(reference), inputs(1, 4, 7, 24, 3))

    @pytest.mark.kernels
    def test_gradients_are_bitwise_reproducible(self, inputs):
        tensors = inputs(1, 5, 18, 24, 3)

        def gradients():
            return torch.autograd.grad(fused(*tensors).square().mul(0.3).sum(), tensors)

        assert all(map(torch.equal, gradients(), gradients()))


class TestBadInput:
    @pytest.mark.parametrize('size', [4, 13])
    def test_even_or_too_large_kernel_is_named(self, inputs, size):
        with pytest.raises(ValueError, match=r'weight must be \(24, 1, K, K\).* K odd and at most 11'):
            fused(*inputs(1, 4, 4, 24, size))

    def test_bias_of_another_length_is_named(self, inputs):
        x, weight, bias = inputs(1, 4, 4, 24, 3)
        with pytest.raises(ValueError, match=r'bias must be \(24,\); got \(23,\)'):
            fused(x, weight, bias[1:])

    def test_map_of_three_dimensions_is_named(self, inputs):
        x, weight, bias = inputs(1, 4, 4, 24, 3)
        with pytest.raises(ValueError, match=r'x must be \(N, H, W, C\); got \(4, 4, 24\)'):
            fused(x[0], weight, bias)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
    def test_another_device_is_named(self, inputs):
        x, weight, bias = inputs(1, 4, 4, 24, 3)
        with pytest.raises(ValueError, match=r'weight and bias must be on cuda:0, as x is; got cpu'):
            fused(x, weight.detach().cpu(), bias)

    def test_float64_is_refused(self, inputs):
        with pytest.raises(ValueError, match=r'float32, float16 or bfloat16.* got torch.float64'):
            fused(*(tensor.double() for tensor in inputs(1, 4, 4, 24, 3)))
