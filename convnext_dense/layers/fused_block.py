"""A ConvNeXt block by the fused kernels."""

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from convnext_dense import kernels
from convnext_dense.kernels.support import KERNEL_SIZES
from convnext_dense.layers.drop_path import DropPath
from convnext_dense.layers.grn import GRN
from convnext_dense.layers.layer_norm import LayerNorm2d
from convnext_dense.layers.pointwise import PointwiseLinear


def can_fuse(block: nn.Module, x: Tensor) -> bool:
    """Return whether a block is to run by the kernels on `x`.

    They have the plain block: a depthwise convolution of an odd size to 11 that keeps the map's size, LayerNorm with
    weight and bias, exact GELU, and each layer what the backbone made it, without hooks. What else decides,
    `kernels.use_kernels` says.

    Args:
        block: A `ConvNeXtBlock`.
        x: Its input, (N, C, H, W).

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> block = ConvNeXt('atto', kernels='torch').stages[0][0]
        >>> can_fuse(block, torch.zeros(1, 40, 8, 8))
        False
    """
    # The cheap question first: it is asked of every block in every step, and by default answered no.
    if type(block.dwconv) is not nn.Conv2d or not kernels.use_kernels(
        block.kernels, x, _compute_dtype(x), block.dwconv.in_channels, isinstance(block.grn, GRN)
    ):
        return False
    kinds = {
        block.dwconv: (nn.Conv2d,),
        block.norm: (LayerNorm2d,),
        block.pwconv1: (PointwiseLinear,),
        block.act: (nn.GELU,),
        block.grn: (GRN, nn.Identity),
        block.pwconv2: (PointwiseLinear,),
        block.drop_path: (DropPath,),
    }
    if any(type(module) not in allowed or _is_changed(module) for module, allowed in kinds.items()):
        return False
    parameters = (block.dwconv.bias, block.norm.weight, block.norm.bias, block.pwconv1.bias, block.pwconv2.bias)
    return all(each is not None for each in parameters) and block.act.approximate == 'none' and _is_plain(block.dwconv)


def fused_block(block: nn.Module, x: Tensor) -> Tensor:
    r"""Compute a block by the kernels.

    What is affine is folded into the pointwise layers in float32, and autograd takes its gradients from theirs:
    LayerNorm's weight and bias into the first, LayerScale and GRN's bias into the second.

    .. math:: W_1 (w \hat{x} + b) + b_1 = (W_1 w) \hat{x} + (b_1 + W_1 b)

    Args:
        block: A `ConvNeXtBlock` that `can_fuse` lets pass.
        x: Its input, (N, C, H, W), channels-last.

    Returns:
        (N, C, H, W), channels-last, in the dtype that PyTorch's layers would give.
    """
    dtype = _compute_dtype(x)
    norm, grn = block.norm, block.grn
    has_grn = isinstance(grn, GRN)
    # Elementwise products and sums, which autocast leaves in float32.
    weight1 = block.pwconv1.weight.float()
    bias1 = block.pwconv1.bias.float() + (weight1 * norm.bias.float()).sum(1)
    weight1 = (weight1 * norm.weight.float()).to(dtype)
    weight2, bias2 = block.pwconv2.weight.float(), block.pwconv2.bias.float()
    if has_grn:
        bias2 = bias2 + (weight2 * grn.beta.flatten().float()).sum(1)
    gain = None
    if block.gamma is not None:
        factor = block.gamma.float()
        if dtype == torch.float16:
            # Of a LayerScale of 1e-6, float16 could hold neither the weights nor their gradient.
            gain = torch.where(factor == 0, 1.0, factor.detach())
            factor = factor / gain
        weight2, bias2 = weight2 * factor[:, None], bias2 * factor
    if gain is None:
        weight2 = weight2.to(dtype)
    scale = None
    if block.drop_path.training and block.drop_path.drop_prob:
        scale = block.drop_path(x.new_ones((x.shape[0], 1, 1, 1), dtype=torch.float32)).flatten()

    x = x.permute(0, 2, 3, 1)
    normed, _ = kernels.depthwise_conv_norm(x, block.dwconv.weight, block.dwconv.bias, norm.eps, dtype)
    has_backward = torch.is_grad_enabled() and any(
        each.requires_grad for each in (normed, weight1, bias1, weight2, bias2)
    )
    out, _, _ = kernels.pointwise_mlp(
        normed,
        weight1,
        bias1,
        weight2,
        bias2,
        x,
        scale,
        gain,
        grn.gamma.flatten().float() if has_grn else None,
        grn.eps if has_grn else 0.0,
        _result_dtype(x.dtype, dtype, block.gamma),
        has_backward and not block.recompute_hidden,
    )
    return out.permute(0, 3, 1, 2)


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Return whether a convolution is depthwise, with neither stride nor dilation, and keeps the size by zeros."""
    channels, size = convolution.in_channels, convolution.kernel_size[0]
    return (
        convolution.weight.shape == (channels, 1, size, size)
        and size in KERNEL_SIZES
        and convolution.padding == (size // 2, size // 2)
        and convolution.stride == convolution.dilation == (1, 1)
        and convolution.padding_mode == 'zeros'
    )


def _is_changed(module: nn.Module) -> bool:
    """Return whether a layer does more than its type says: by hooks, or by a `forward` or weights of another kind."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    # Such as quantised weights, or a part of weights that are spread over GPUs.
    special = any(is_traceable_wrapper_subclass(parameter) for parameter in module.parameters())
    return special or any(hooks) or 'forward' in module.__dict__


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
