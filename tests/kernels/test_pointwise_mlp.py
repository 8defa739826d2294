"""The pointwise layers with GELU, GRN, LayerScale, stochastic depth and residual are PyTorch's, gradients too."""

import pytest
import torch
import torch.nn.functional as F

from convnext_dense.kernels import pointwise_mlp
from convnext_dense.kernels.numerics import product_precision
from convnext_dense.kernels.pointwise_mlp import launch as pointwise_mlp_launch
from convnext_dense.kernels.pointwise_mlp.launch import ProductTile

EPS = 1e-6


def reference(scale=None, grn=False):
    def compute(x, weight1, bias1, weight2, bias2, residual, grn_weight=None):
        hidden = F.gelu(F.linear(x, weight1, bias1.to(x.dtype)))
        if grn:
            norm = hidden.float().norm(dim=(1, 2), keepdim=True).to(bias1.dtype)
            response = norm / (norm.mean(-1, keepdim=True) + EPS)
            hidden = hidden * (1 + grn_weight * response).to(x.dtype)
        branch = F.linear(hidden, weight2, bias2.to(x.dtype))
        if scale is not None:
            branch = branch * scale.to(x.dtype)[:, None, None, None]
        return residual + branch

    return compute


def exact_reference(scale=None, grn=False):
    """As `reference`, with GRN's norm in float64."""

    def compute(x, weight1, bias1, weight2, bias2, residual, grn_weight=None):
        hidden = F.gelu(x @ weight1.t() + bias1)
        if grn:
            norm = hidden.norm(dim=(1, 2), keepdim=True)
            hidden = hidden * (1 + grn_weight * norm / (norm.mean(-1, keepdim=True) + EPS))
        branch = hidden @ weight2.t() + bias2
        return residual + (branch if scale is None else branch * scale.double()[:, None, None, None])

    return compute


def fused(scale=None, gain=None, keep_hidden=True):
    def compute(x, weight1, bias1, weight2, bias2, residual, grn_weight=None):
        return pointwise_mlp(
            x, weight1, bias1, weight2, bias2, residual, scale, gain, grn_weight, EPS, residual.dtype, keep_hidden
        )[0]

    return compute


@pytest.fixture
def inputs(random):
    """Make a map, the layers' weights and biases, a residual, and with `grn` GRN's weight."""

    def make(images, height, width, channels, hidden_channels, grn=False, dtype=torch.float32):
        made = [
            random(images, height, width, channels, dtype=dtype),
            random(hidden_channels, channels, deviation=channels**-0.5, dtype=dtype),
            random(hidden_channels),
            random(channels, hidden_channels, deviation=hidden_channels**-0.5, dtype=dtype),
            random(channels),
            random(images, height, width, channels, dtype=dtype),
        ]
        return [*made, random(hidden_channels)] if grn else made

    return make


@pytest.fixture
def scale(device):
    """A dropped image, and one that makes up for it."""
    return torch.tensor([0.0, 1.25], device=device)


@pytest.mark.parametrize('grn', [False, True])
@pytest.mark.parametrize(
    'shape',
    [
        (2, 5, 7, 40, 160),
        (2, 13, 11, 24, 96),  # more rows than a tile
        (2, 1, 1, 130, 270),  # a pixel an image, channels that fill no tile
        (2, 1, 3, 2816, 64),  # the widest ConvNeXt's channels
        (2, 1, 3, 24, 4096),  # and many hidden ones
    ],
)
def test_it_is_pytorchs_at_every_size(inputs, check, scale, shape, grn):
    check(fused(scale), exact_reference(scale, grn), inputs(*shape, grn=grn))


@pytest.mark.parametrize('grn', [False, True])
def test_the_hidden_layer_may_be_computed_anew(inputs, check, grn):
    given = inputs(1, 5, 7, 24, 96, grn=grn)
    check(fused(keep_hidden=False), exact_reference(grn=grn), given)
    _, hidden, _ = pointwise_mlp(*given[:6], None, None, None, EPS, torch.float32, False)
    assert hidden.numel() == 0


@pytest.mark.parametrize('tile', [ProductTile(128, 64, 32, 4, 3), ProductTile(16, 32, 16, 4, 2)])
@pytest.mark.parametrize('grn', [False, True])
def test_every_tile_gives_the_same(inputs, check, scale, grn, tile, monkeypatch):
    monkeypatch.setattr(pointwise_mlp_launch, 'tune', lambda kernel, code, x, candidates, launch: launch(tile))
    check(fused(scale), exact_reference(scale, grn), inputs(2, 5, 7, 40, 72, grn=grn))


def test_sums_over_more_rows_than_a_part_are_whole(inputs, check, monkeypatch):
    monkeypatch.setattr(pointwise_mlp_launch, 'FEWEST_ROWS_OF_A_PART', 16)
    check(fused(), exact_reference(), inputs(1, 9, 11, 24, 96))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('grn', [False, True])
def test_half_precision_errs_no_more_than_pytorch(inputs, check, scale, dtype, grn):
    check(fused(scale), reference(scale, grn), inputs(2, 9, 11, 40, 160, grn=grn, dtype=dtype), low=dtype)


def test_a_gain_is_a_factor_of_each_channel(inputs, check, device, scale):
    gain = torch.logspace(-3, 1, 24, device=device)

    def multiplied(x, weight1, bias1, weight2, bias2, *rest):
        factor = gain.to(bias2.dtype)
        return exact_reference(scale)(x, weight1, bias1, weight2 * factor[:, None], bias2 * factor, *rest)

    check(fused(scale, gain), multiplied, inputs(2, 5, 7, 24, 96))


def test_a_channel_that_is_zero_all_over_an_image_has_a_finite_gradient(inputs):
    given = inputs(2, 3, 4, 24, 96, grn=True)
    with torch.no_grad():
        given[1][5], given[2][5] = 0, 0
    gradients = torch.autograd.grad(fused()(*given).sum(), given)
    assert all(each.isfinite().all() for each in gradients)


def test_a_float32_residual_of_a_half_precision_branch_stays_float32(inputs):
    *given, residual = inputs(1, 3, 4, 24, 96, dtype=torch.bfloat16)
    residual = residual.detach().float().requires_grad_()
    out = fused()(*given, residual)
    out.sum().backward()
    assert (out.dtype, residual.grad.dtype, given[0].grad.dtype) == (torch.float32, torch.float32, torch.bfloat16)


def test_a_float32_weight_has_a_float32_gradient_that_the_gain_does_not_underflow(inputs, device):
    given = inputs(1, 3, 4, 24, 96, dtype=torch.float16)
    given[3] = given[3].detach().float().requires_grad_()
    fused(gain=torch.full((24,), 1e-9, device=device))(*given).sum().backward()
    assert given[3].grad.dtype == torch.float32
    assert given[3].grad.count_nonzero() == given[3].numel()


@pytest.mark.parametrize('setting', [None, 'allow_tf32', 'fp32_precision'])
def test_products_of_float32_follow_pytorchs_setting(setting):
    matmul = torch.backends.cuda.matmul
    if setting:
        if not hasattr(matmul, setting):
            pytest.skip('PyTorch before 2.9')
        before = getattr(matmul, setting)
        setattr(matmul, setting, True if setting == 'allow_tf32' else 'tf32')
    try:
        precision = product_precision(torch.float32)
        assert product_precision(torch.bfloat16) == 'ieee'
    finally:
        if setting:
            setattr(matmul, setting, before)
    assert precision == ('tf32' if setting else 'ieee')


class TestBadInput:
    def test_a_weight_of_another_shape_is_named(self, inputs):
        given = inputs(1, 3, 4, 24, 96)
        given[3] = given[3][1:]
        with pytest.raises(ValueError, match=r'weight2 must be \(24, 96\); got \(23, 96\)'):
            fused()(*given)

    def test_weights_of_another_dtype_are_named(self, inputs):
        given = inputs(1, 3, 4, 24, 96)
        given[1] = given[1].half()
        with pytest.raises(
            ValueError, match=r'weight1 must be torch.float32 for x of torch.float32; got torch.float16'
        ):
            fused()(*given)

    def test_a_bias_of_another_length_is_named(self, inputs):
        given = inputs(1, 3, 4, 24, 96)
        given[2] = given[2][:5]
        with pytest.raises(ValueError, match=r'bias1 must be \(96,\); got \(5,\)'):
            fused()(*given)
