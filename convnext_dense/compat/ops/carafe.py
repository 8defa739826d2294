"""CARAFE (https://arxiv.org/abs/1905.02188): upsampling by a kernel of its own for every pixel of the output."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from convnext_dense.compat.ops.precision import at_least_float32


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `output` (N, C, H * scale_factor, W * scale_factor).

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * kernel_size ** 2, H * scale_factor, W * scale_factor), the kernels.
        rfeatures: Filled with the features, which mmcv saves for the backward pass.
        routput: Unused buffer of mmcv's kernel.
        rmasks: Unused buffer of mmcv's kernel.
        output: The tensor to fill.
        kernel_size: Height and width of a kernel, odd.
        group_size: Groups of channels that share their kernels.
        scale_factor: The ratio of the output's height and width to the features'.
    """
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_naive_forward(
    features: Tensor, masks: Tensor, output: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> None:
    """Fill `output`; the other arguments are those of `carafe_forward`."""
    padded = _pad(features, kernel_size)
    kernels = _split(masks.to(padded.dtype), group_size, scale_factor)
    total = padded.new_zeros(_split(output, group_size, scale_factor).shape)
    for tap, window in enumerate(_windows(padded, features.shape[-2:], kernel_size)):
        total.addcmul_(_split(window, group_size, 1), kernels[:, :, tap, None])
    output.copy_(total.reshape(output.shape))


def carafe_backward(
    top_grad: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rtop_grad: Tensor,
    rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor,
    rmask_grad: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `bottom_grad`, the features' gradient, and `mask_grad`; the other arguments are those of `carafe_forward`.

    Tensors whose names begin with r, except `rfeatures`, are unused buffers of mmcv's kernel.
    """
    carafe_naive_backward(top_grad, rfeatures, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor)


def carafe_naive_backward(
    top_grad: Tensor,
    features: Tensor,
    masks: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `bottom_grad`, the features' gradient, and `mask_grad`; the others are those of `carafe_forward`."""
    padded = _pad(features, kernel_size)
    kernels = _split(masks.to(padded.dtype), group_size, scale_factor)
    grad = _split(top_grad.to(padded.dtype), group_size, scale_factor)
    padded_grad, kernels_grad = torch.zeros_like(padded), torch.zeros_like(kernels)
    windows = _windows(padded, features.shape[-2:], kernel_size)
    window_grads = _windows(padded_grad, features.shape[-2:], kernel_size)
    for tap, (window, window_grad) in enumerate(zip(windows, window_grads, strict=True)):
        part = torch.einsum('ngchywx,nghywx->ngchw', grad, kernels[:, :, tap])
        window_grad += part.reshape(window_grad.shape)
        window = _split(window, group_size, 1)[:, :, :, :, 0, :, 0]
        kernels_grad[:, :, tap] = torch.einsum('ngchywx,ngchw->nghywx', grad, window)
    border = kernel_size // 2
    bottom_grad.copy_(F.pad(padded_grad, [-border] * 4))
    mask_grad.copy_(kernels_grad.reshape(masks.shape))


def _pad(features: Tensor, kernel_size: int) -> Tensor:
    return F.pad(at_least_float32(features), [kernel_size // 2] * 4)


def _windows(padded: Tensor, size: torch.Size, kernel_size: int) -> Iterator[Tensor]:
    """Yield what each tap of a kernel sees: views of (N, C, H, W) of the padded features."""
    height, width = size
    for y in range(kernel_size):
        for x in range(kernel_size):
            yield padded[..., y : y + height, x : x + width]


def _split(maps: Tensor, groups: int, scale: int) -> Tensor:
    """Return (N, C, H * scale, W * scale) as (N, groups, C / groups, H, scale, W, scale)."""
    return maps.unflatten(3, (-1, scale)).unflatten(2, (-1, scale)).unflatten(1, (groups, -1))
