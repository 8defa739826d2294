"""The pointwise layers with GELU, GRN, scales and residual, and their gradients, equal PyTorch's."""

import pytest
import torch
import torch.nn.functional as F

from convnext_dense.kernels import pointwise_mlp
from convnext_dense.kernels.pointwise_mlp import launch as pointwise_mlp_launch
from convnext_dense.kernels.pointwise_mlp.launch import ProductTile

EPS = 1e-6


def reference(drop_path_scale=None, grn=False):
    def compute(x, weight1, bias1, weight2, bias2, residual, grn_weight=None):
        hidden = F.gelu(F.linear(x, weight1, bias1.to(x.dtype)))
        if grn:
            norm = hidden.float().norm(dim=(1, 2), keepdim=True).to(bias1.dtype)
            ratio = norm / (norm.mean(-1, keepdim=True) + EPS)
            hidden = hidden * (1 + grn_weight * ratio).to(x.dtype)
        branch = F.linear(hidden, weight2, bias2.to(x.dtype))
        if drop_path_scale is not None:
            branch = branch * drop_path_scale.to(x.dtype)[:, None, None, None]
        return residual + branch

    return compute


def exact_reference(drop_path_scale=None, grn=False):
    """As `reference`, with GRN's norm in float64."""

    def compute(x, weight1, bias1, weight2, bias2, residual, grn_weight=None):
        hidden = F.gelu(x @ weight1.t() + bias1)
        if grn:
            norm = hidden.norm(dim=(1, 2), keepdim=True)
            hidden = hidden * (1 + grn_weight * norm / (norm.mean(-1, keepdim=True) + EPS))
        branch = hidden @ weight2.t() + bias2
        return residual + (
            branch if drop_path_scale is None else branch * drop_path_scale.double()[:, None, None, None]
        )

    return compute


def fused(drop_path_scale=None, layer_scale=None, keep_hidden=True):
    def compute(x, weight1, bias1, weight2, bias2, residual, grn_weight=None):
        tensors = x, weight1, bias1, weight2, bias2, residual, drop_path_scale, layer_scale, grn_weight
        return pointwise_mlp(*tensors, EPS, residual.dtype, keep_hidden)[0]

    return compute


@pytest.fixture
def inputs(random):
    """Make a map, the layers' weights and biases, a residual, and with `grn` GRN's weight."""

    def make(images, height, width, channels, hidden_channels, grn=False, dtype=torch.float32):
        tensors = [
            random(images, height, width, channels, dtype=dtype),
            random(hidden_channels, channels, deviation=channels**-0.5, dtype=dtype),
            random(hidden_channels),
            random(channels, hidden_channels, deviation=hidden_channels**-0.5, dtype=dtype),
            random(channels),
            random(images, height, width, channels, dtype=dtype),
        ]
        return [*tensors, random(hidden_channels)] if grn else tensors

    return make


@pytest.fixture
def drop_path_scale(device):
    """Of two images: one is dropped, and the other one compensates."""
    return torch.tensor([0.0, 1.25], device=device)


@pytest.mark.parametrize('grn', [False, True])
class TestPointwiseMlp:
    @pytest.mark.parametrize(
        'shape',
        [
            (2, 5, 7, 40, 160),
            pytest.param((2, 13, 11, 24, 96), marks=pytest.mark.kernels),  # more rows than a tile
            pytest.param((2, 1, 1, 130, 270), marks=pytest.mark.kernels),  # one pixel an image; no tile is full
            pytest.param((2, 1, 3, 2816, 64), marks=pytest.mark.full),  # the channels of the widest ConvNeXt
            pytest.param((2, 1, 3, 24, 4096), marks=pytest.mark.full),  # many hidden channels
        ],
    )
    def test_equals_pytorch(self, inputs, check, drop_path_scale, shape, grn):
        check(fused(drop_path_scale), exact_reference(drop_path_scale, grn), inputs(*shape, grn=grn))

    @pytest.mark.kernels
    def test_equals_pytorch_when_it_recomputes_the_hidden_layer(self, inputs, check, grn):
        tensors = inputs(1, 5, 7, 24, 96, grn=grn)
        check(fused(keep_hidden=False), exact_reference(grn=grn), tensors)
        _, hidden, _ = pointwise_mlp(*tensors[:6], None, None, None, EPS, torch.float32, False)
        assert hidden.numel() == 0

    @pytest.mark.kernels
    def test_equals_pytorch_when_it_stores_gelus_output(self, inputs, check, drop_path_scale, monkeypatch, grn):
        monkeypatch.setattr(pointwise_mlp_launch, 'MAX_CHANNELS_RECOMPUTED', 16)
        check(fused(drop_path_scale), exact_reference(drop_path_scale, grn), inputs(2, 3, 4, 24, 96, grn=grn))

    @pytest.mark.kernels
    @pytest.mark.parametrize('tile', [ProductTile(128, 64, 32, 4, 3), ProductTile(16, 32, 16, 4, 2)])
    def test_equals_pytorch_with_other_tiles(self, inputs, check, drop_path_scale, monkeypatch, grn, tile):
        monkeypatch.setattr(pointwise_mlp_launch, 'tune', lambda kernel, code, x, candidates, launch: launch(tile))
        check(fused(drop_path_scale), exact_reference(drop_path_scale, grn), inputs(2, 5, 7, 40, 72, grn=grn))

    @pytest.mark.kernels
    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
    def test_half_precision_errs_no_more_than_pytorch(self, inputs, check, drop_path_scale, dtype, grn):
        tensors = inputs(2, 9, 11, 40, 160, grn=grn, dtype=dtype)
        check(fused(drop_path_scale), reference(drop_path_scale, grn), tensors, low=dtype)


@pytest.mark.kernels
def test_sums_over_several_splits_are_complete(inputs, check, monkeypatch):
    monkeypatch.setattr(pointwise_mlp_launch, 'MIN_ROWS_PER_SPLIT', 16)
    check(fused(), exact_reference(), inputs(1, 9, 11, 24, 96))


@pytest.mark.kernels
def test_layer_scale_multiplies_each_channel(inputs, check, device, drop_path_scale):
    layer_scale = torch.logspace(-3, 1, 24, device=device)

    def scaled(x, weight1, bias1, weight2, bias2, *others):
        factor = layer_scale.to(bias2.dtype)
        return exact_reference(drop_path_scale)(x, weight1, bias1, weight2 * factor[:, None], bias2 * factor, *others)

    check(fused(drop_path_scale, layer_scale), scaled, inputs(2, 5, 7, 24, 96))


class TestGradients:
    @pytest.mark.kernels
    def test_of_an_all_zero_channel_are_finite(self, inputs):
        tensors = inputs(2, 3, 4, 24, 96, grn=True)
        with torch.no_grad():
            tensors[1][5], tensors[2][5] = 0, 0
        gradients = torch.autograd.grad(fused()(*tensors).sum(), tensors)
        assert all(gradient.isfinite().all() for gradient in gradients)

    @pytest.mark.kernels
    def test_of_a_float32_residual_are_float32(self, inputs):
        *tensors, residual = inputs(1, 3, 4, 24, 96, dtype=torch.bfloat16)
        residual = residual.detach().float().requires_grad_()
        out = fused()(*tensors, residual)
        out.sum().backward()
        assert (out.dtype, residual.grad.dtype, tensors[0].grad.dtype) == (torch.float32, torch.float32, torch.bfloat16)

    @pytest.mark.kernels
    def test_of_a_float32_weight_do_not_underflow(self, inputs, device):
        tensors = inputs(1, 3, 4, 24, 96, dtype=torch.float16)
        tensors[3] = tensors[3].detach().float().requires_grad_()
        fused(layer_scale=torch.full((24,), 1e-9, device=device))(*tensors).sum().backward()
        assert tensors[3].grad.dtype == torch.float32
        assert tensors[3].grad.count_nonzero() == tensors[3].numel()


class TestBadInput:
    def test_weight_of_another_shape_is_named(self, inputs):
        tensors = inputs(1, 3, 4, 24, 96)
        tensors[3] = tensors[3][1:]
        with pytest.raises(ValueError, match=r'weight2 must be \(24, 96\); got \(23, 96\)'):
            fused()(*tensors)

    def test_weight_of_another_dtype_is_named(self, inputs):
        tensors = inputs(1, 3, 4, 24, 96)
        tensors[1] = tensors[1].half()
        with pytest.raises(
            ValueError, match=r'weight1 must be torch.float32 for x of torch.float32; got torch.float16'
        ):
            fused()(*tensors)

    def test_bias_of_another_length_is_named(self, inputs):
        tensors = inputs(1, 3, 4, 24, 96)
        tensors[2] = tensors[2][:5]
        with pytest.raises(ValueError, match=r'bias1 must be \(96,\); got \(5,\)'):
            fused()(*tensors)
