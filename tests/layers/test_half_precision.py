"""Activations near the limits of their type."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convnext_dense.backbones import ConvNeXt
from convnext_dense.layers import GRN, LayerNorm2d

HALVES = [torch.float16, torch.bfloat16]
C = 16
# LayerNorm's variance is of squares in float32. Nothing in a network is that large in bfloat16.
LARGEST_NORMED = {torch.float16: 65504.0, torch.bfloat16: 1e18}


def activations(kind, largest, dtype, seed=0):
    """Return (2, 5, 5, C) values of at most `largest`."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(2, 5, 5, C, generator=generator) * 2 - 1
    values = {
        'zero': torch.zeros(2, 5, 5, C),
        'constant': torch.full((2, 5, 5, C), largest),
        'both ends': noise.sign() * largest,
        'one channel': torch.zeros(2, 5, 5, C).index_fill_(3, torch.tensor([3]), largest),
        'one value': torch.zeros(2, 5, 5, C).index_put_(tuple(torch.zeros(4, 1).long()), torch.tensor(largest)),
        'noise': noise * largest,
        'tiny': torch.full((2, 5, 5, C), torch.finfo(dtype).tiny),
    }[kind]
    return values.clamp(-torch.finfo(dtype).max, torch.finfo(dtype).max).to(dtype).requires_grad_()


KINDS = ['zero', 'constant', 'both ends', 'one channel', 'one value', 'noise', 'tiny']


def assert_finite(layer, x, out):
    """Output and gradients are finite."""
    assert out.isfinite().all()
    (out.float() / out.numel()).mean().backward()
    assert x.grad.isfinite().all()
    for name, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('dtype', HALVES)
@pytest.mark.parametrize('kind', KINDS)
class TestLayers:
    def test_grn_stays_finite(self, dtype, kind):
        grn = GRN(C)
        torch.nn.init.normal_(grn.gamma)
        torch.nn.init.normal_(grn.beta)
        x = activations(kind, torch.finfo(dtype).max, dtype)
        out = grn(x)
        assert out.dtype == dtype
        assert_finite(grn, x, out)

    def test_layer_norm_stays_finite(self, dtype, kind):
        norm = LayerNorm2d(C).to(dtype)
        x = activations(kind, LARGEST_NORMED[dtype], dtype)
        assert_finite(norm, x, norm(x.permute(0, 3, 1, 2)))


@settings(max_examples=30, deadline=None)
# The scale of a channel of small values is beyond float16's range.
@example(kind='one channel', dtype=torch.float16, size=1e-8, gamma=4115.0, seed=0)
@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([*HALVES, torch.float32]),
    size=st.floats(0, 1),
    gamma=st.floats(-1e4, 1e4),
    seed=st.integers(0, 99),
)
def test_grn_of_any_finite_activations_is_finite(kind, dtype, size, gamma, seed):
    grn = GRN(C)
    torch.nn.init.constant_(grn.gamma, gamma)
    out = grn(activations(kind, size * torch.finfo(dtype).max, dtype, seed))
    assert out.isfinite().all()


def test_grn_is_not_changed_by_its_limits():
    grn = GRN(C)
    torch.nn.init.normal_(grn.gamma)
    x = activations('noise', 100.0, torch.float16).detach()
    norm = x.float().square().sum((1, 2), keepdim=True).sqrt()
    expected = x * (1 + grn.gamma * norm / (norm.mean(-1, keepdim=True) + 1e-6)).half()
    assert torch.equal(grn(x), expected)


IMAGES = {
    'black': torch.zeros(2, 3, 64, 64),
    'white': torch.full((2, 3, 64, 64), 255.0),
    'one line': torch.zeros(2, 3, 64, 64).index_fill_(2, torch.tensor([5]), 255.0),
    'a thousand': torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 1000,
}


@pytest.mark.parametrize('dtype', HALVES)
@pytest.mark.parametrize('version', ['v1', 'v2'])
@pytest.mark.parametrize('autocast', [True, False], ids=['autocast', 'half weights'])
class TestBackbone:
    def test_stays_finite(self, dtype, version, autocast):
        options = (
            dict(use_grn=True, layer_scale_init_value=0.0) if version == 'v2' else dict(layer_scale_init_value=1.0)
        )
        backbone = ConvNeXt(dict(depths=[1, 1, 1, 1], channels=[8, 8, 8, 8]), **options)
        for name, parameter in backbone.named_parameters():
            if 'grn' in name:
                torch.nn.init.normal_(parameter)
        if not autocast:
            backbone = backbone.to(dtype)
        for name, images in IMAGES.items():
            with torch.autocast('cpu', dtype=dtype, enabled=autocast):
                maps = backbone(images if autocast else images.to(dtype))
            assert all(level.isfinite().all() for level in maps), name
            sum(level.float().square().mean() for level in maps).backward()
            assert all(p.grad.isfinite().all() for p in backbone.parameters() if p.grad is not None), name
            backbone.zero_grad()
