"""Runs a ConvNeXt block with the fused kernels."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from convnext_dense import kernels
from convnext_dense.kernels.support import KERNEL_SIZES, is_supported
from convnext_dense.layers.drop_path import DropPath
from convnext_dense.layers.grn import GRN
from convnext_dense.layers.layer_norm import LayerNorm2d
from convnext_dense.layers.pointwise import PointwiseLinear


class Block(Protocol):
    """What a `ConvNeXtBlock` consists of."""

    dwconv: nn.Conv2d
    norm: nn.Module
    pwconv1: PointwiseLinear
    act: nn.Module
    grn: GRN | nn.Identity
    pwconv2: PointwiseLinear
    gamma: nn.Parameter | None
    drop_path: DropPath
    kernels: str
    recompute_hidden: bool


def check_kernels(choice: str, recompute_hidden: bool) -> None:
    """Raise ValueError unless a block takes these arguments of `ConvNeXt`.

    Args:
        choice: The argument `kernels`.
        recompute_hidden: The argument of that name.

    Example:
        >>> check_kernels('triton', recompute_hidden=True)
    """
    if choice == 'auto':
        raise ValueError(
            "kernels='auto' no longer exists: the default is 'torch', and 'triton' opts in to the fused kernels."
        )
    if choice not in kernels.CHOICES:
        raise ValueError(f'kernels must be one of {", ".join(kernels.CHOICES)}; got {choice!r}.')
    if recompute_hidden and choice != 'triton':
        raise ValueError(f"recompute_hidden=True needs kernels='triton'; got {choice!r}.")


def can_fuse(block: Block, x: Tensor) -> bool:
    """Return whether a block runs with the kernels on `x`, which `kernels='triton'` asks for.

    They compute the plain block: a depthwise convolution of an odd size up to 11 that keeps the map's size, LayerNorm
    with weight and bias, exact GELU, and every layer of the type that the backbone built, without hooks. They need a
    device and a dtype that `kernels.support.is_supported` accepts.

    Args:
        block: A `ConvNeXtBlock`.
        x: Its input, (N, C, H, W).

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> block = ConvNeXt('atto', kernels='torch').stages[0][0]
        >>> can_fuse(block, torch.zeros(1, 40, 8, 8))
        False
    """
    # The cheap checks first: every block asks in every step, and the default answers no.
    if block.kernels != 'triton' or not is_supported(x, _compute_dtype(x)):
        return False
    allowed = {
        block.dwconv: (nn.Conv2d,),
        block.norm: (LayerNorm2d,),
        block.pwconv1: (PointwiseLinear,),
        block.act: (nn.GELU,),
        block.grn: (GRN, nn.Identity),
        block.pwconv2: (PointwiseLinear,),
        block.drop_path: (DropPath,),
    }
    if any(type(module) not in types or _is_modified(module) for module, types in allowed.items()):
        return False
    parameters = (block.dwconv.bias, block.norm.weight, block.norm.bias, block.pwconv1.bias, block.pwconv2.bias)
    has_all = all(parameter is not None for parameter in parameters)
    return has_all and block.act.approximate == 'none' and _is_plain(block.dwconv)


def fused_block(block: Block, x: Tensor) -> Tensor:
    r"""Compute a block with the kernels.

    Affine parts are folded into the pointwise layers in float32: LayerNorm's weight and bias into the first, LayerScale
    and GRN's bias into the second. Autograd differentiates the folding.

    .. math:: W_1 (w \hat{x} + b) + b_1 = (W_1 w) \hat{x} + (b_1 + W_1 b)

    Args:
        block: A `ConvNeXtBlock` that passes `can_fuse`.
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
    layer_scale = None
    if block.gamma is not None:
        gamma = block.gamma.float()
        if dtype == torch.float16:
            # With a LayerScale of 1e-6 folded in, float16 could hold neither the weights nor their gradient.
            layer_scale = torch.where(gamma == 0, 1.0, gamma.detach())
            gamma = gamma / layer_scale
        weight2, bias2 = weight2 * gamma[:, None], bias2 * gamma
    if layer_scale is None:
        weight2 = weight2.to(dtype)
    drop_path_scale = None
    if block.drop_path.training and block.drop_path.drop_prob:
        drop_path_scale = block.drop_path(x.new_ones((x.shape[0], 1, 1, 1), dtype=torch.float32)).flatten()

    x = x.permute(0, 2, 3, 1)
    normed, _ = kernels.depthwise_conv_norm(x, block.dwconv.weight, block.dwconv.bias, norm.eps, dtype)
    inputs = (normed, weight1, bias1, weight2, bias2)
    has_backward = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    out, _, _ = kernels.pointwise_mlp(
        *inputs,
        x,
        drop_path_scale,
        layer_scale,
        grn.gamma.flatten().float() if has_grn else None,
        grn.eps if has_grn else 0.0,
        _result_dtype(x.dtype, dtype, block.gamma),
        has_backward and not block.recompute_hidden,
    )
    return out.permute(0, 3, 1, 2)


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Return whether a convolution is depthwise, without stride or dilation, and pads with zeros to keep the size."""
    channels, size = convolution.in_channels, convolution.kernel_size[0]
    return (
        convolution.weight.shape == (channels, 1, size, size)
        and size in KERNEL_SIZES
        and convolution.padding == (size // 2, size // 2)
        and convolution.stride == convolution.dilation == (1, 1)
        and convolution.padding_mode == 'zeros'
    )


def _is_modified(module: nn.Module) -> bool:
    """Return whether a layer does more than its type says: it has hooks, a replaced `forward` or special weights."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    # Such as quantized or sharded weights.
    special = any(is_traceable_wrapper_subclass(parameter) for parameter in module.parameters())
    return special or any(hooks) or 'forward' in module.__dict__


def _compute_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of matrix products of `x`: autocast's, or else its own."""
    device = x.device.type
    # The meta device, on which FLOPs are counted, has no autocast.
    autocasts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if autocasts else x.dtype


def _result_dtype(residual: torch.dtype, branch: torch.dtype, gamma: Tensor | None) -> torch.dtype:
    if gamma is not None:
        branch = torch.promote_types(branch, gamma.dtype)
    return torch.promote_types(residual, branch)
