"""The layers compared with the formulas of their papers."""

import pytest
import torch
from torch.testing import assert_close

from convnext_dense.layers import GRN, LayerNorm2d, build_norm


def test_layer_norm_normalizes_the_channels_of_each_pixel():
    norm = LayerNorm2d(6, eps=1e-6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    scale, shift = norm.weight[:, None, None], norm.bias[:, None, None]
    expected = (x - mean) / (var + 1e-6).sqrt() * scale + shift
    assert_close(norm(x.float()).double(), expected, rtol=1e-5, atol=1e-5)


def test_layer_norm_keeps_channels_last():
    x = torch.rand(2, 6, 3, 5).contiguous(memory_format=torch.channels_last)
    assert LayerNorm2d(6)(x).is_contiguous(memory_format=torch.channels_last)


def test_grn_follows_the_papers_formula():
    grn = GRN(6)
    torch.nn.init.normal_(grn.gamma)
    torch.nn.init.normal_(grn.beta)
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    norm = x.pow(2).sum((1, 2), keepdim=True).sqrt()
    expected = grn.gamma * (x * norm / (norm.mean(-1, keepdim=True) + 1e-6)) + grn.beta + x
    assert_close(grn(x.float()).double(), expected, rtol=1e-5, atol=1e-5)


def test_grn_does_not_overflow_in_half_precision():
    grn = GRN(4)
    torch.nn.init.ones_(grn.gamma)
    out = grn(torch.full((1, 32, 32, 4), 300.0, dtype=torch.float16))
    assert out.dtype == torch.float16
    assert_close(out.float(), torch.full((1, 32, 32, 4), 600.0), rtol=1e-2, atol=0)


def test_build_norm_reads_the_config():
    norm = build_norm(dict(type='LN2d', eps=1e-3, requires_grad=False), 8)
    assert isinstance(norm, LayerNorm2d)
    assert norm.eps == 1e-3
    assert not norm.weight.requires_grad
    assert isinstance(build_norm(dict(type='BN'), 8), torch.nn.BatchNorm2d)


def test_build_norm_names_a_config_without_a_type():
    with pytest.raises(ValueError, match='norm_cfg'):
        build_norm(dict(eps=1e-6), 8)
