"""A ConvNeXt block by the fused kernels."""

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from convnext_dense import kernels
from convnext_dense.layers.grn import GRN
from convnext_dense.layers.layer_norm import LayerNorm2d


def can_fuse(x: Tensor, norm: nn.Module, act: nn.Module, grn: nn.Module, choice: str) -> bool:
    """Return whether a block is to run by the kernels.

    They have LayerNorm with weight and bias, and exact GELU; what else decides, `kernels.use_kernels` says.

    Args:
        x: The block's input, (N, C, H, W).
        norm: The norm after the depthwise convolution.
        act: The activation.
        grn: The GRN, or an `nn.Identity`.
        choice: 'auto', 'triton' or 'torch'.

    Example:
        >>> can_fuse(torch.zeros(1, 96, 8, 8), LayerNorm2d(96), nn.GELU(), nn.Identity(), 'torch')
        False
    """
    has_norm = isinstance(norm, LayerNorm2d) and norm.weight is not None and norm.bias is not None
    has_act = isinstance(act, nn.GELU) and act.approximate == 'none'
    return has_norm and has_act and kernels.use_kernels(choice, x, _compute_dtype(x), isinstance(grn, GRN))


def fused_block(
    x: Tensor,
    dwconv: nn.Conv2d,
    norm: LayerNorm2d,
    pwconv1: nn.Linear,
    grn: nn.Module,
    pwconv2: nn.Linear,
    gamma: Tensor | None,
    drop_path: DropPath,
    recompute_hidden: bool,
) -> Tensor:
    r"""Compute a block by the kernels, from the modules that hold its parameters.

    What is affine is folded into the pointwise layers in float32, and autograd takes its gradients from theirs:
    LayerNorm's weight and bias into the first, LayerScale and GRN's bias into the second.

    .. math:: W_1 (w \hat{x} + b) + b_1 = (W_1 w) \hat{x} + (b_1 + W_1 b)

    Args:
        x: (N, C, H, W), channels-last.
        dwconv: The depthwise convolution.
        norm: The LayerNorm after it.
        pwconv1: The first pointwise layer.
        grn: The GRN after the GELU, or an `nn.Identity`.
        pwconv2: The second pointwise layer.
        gamma: LayerScale, (C,), or None.
        drop_path: Stochastic depth.
        recompute_hidden: Whether the hidden layer is computed anew in the backward pass, to save memory.

    Returns:
        (N, C, H, W), channels-last, in the dtype that PyTorch's layers would give.
    """
    dtype = _compute_dtype(x)
    has_grn = isinstance(grn, GRN)
    # Elementwise products and sums, which autocast leaves in float32.
    weight1 = pwconv1.weight.float()
    bias1 = pwconv1.bias.float() + (weight1 * norm.bias.float()).sum(1)
    weight1 = (weight1 * norm.weight.float()).to(dtype)
    weight2, bias2 = pwconv2.weight.float(), pwconv2.bias.float()
    if has_grn:
        bias2 = bias2 + (weight2 * grn.beta.flatten().float()).sum(1)
    gain = None
    if gamma is not None:
        factor = gamma.float()
        if dtype == torch.float16:
            # Of a LayerScale of 1e-6, float16 could not hold the weights.
            gain = factor.detach().abs().amax().clamp_min(torch.finfo(torch.float32).tiny).reshape(1)
            factor = factor / gain
        weight2, bias2 = weight2 * factor[:, None], bias2 * factor
    scale = None
    if drop_path.training and drop_path.drop_prob:
        scale = drop_path(x.new_ones((x.shape[0], 1, 1, 1), dtype=torch.float32)).flatten()

    x = x.permute(0, 2, 3, 1)
    normed, _ = kernels.depthwise_conv_norm(x, dwconv.weight, dwconv.bias, norm.eps, dtype)
    out, _, _ = kernels.pointwise_mlp(
        normed,
        weight1,
        bias1,
        weight2.to(dtype),
        bias2,
        x,
        scale,
        gain,
        grn.gamma.flatten().float() if has_grn else None,
        grn.eps if has_grn else 0.0,
        _result_dtype(x.dtype, dtype, gamma),
        torch.is_grad_enabled() and not recompute_hidden,
    )
    return out.permute(0, 3, 1, 2)


def _compute_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which autocast has products of `x` computed, or `x`'s own."""
    device = x.device.type
    # The meta device, on which FLOPs are counted, has no autocast to ask for.
    autocasts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if autocasts else x.dtype


def _result_dtype(residual: torch.dtype, branch: torch.dtype, gamma: Tensor | None) -> torch.dtype:
    if gamma is not None:
        branch = torch.promote_types(branch, gamma.dtype)
    return torch.promote_types(residual, branch)
