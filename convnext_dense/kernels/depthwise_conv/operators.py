"""The depthwise convolution and the LayerNorm after it, as operators of PyTorch. Maps are (N, H, W, C).

Each operator has an implementation, which launches kernels, a fake one, which gives shapes and dtypes, and a backward
pass, which is an operator too. Triton launches on the current device, so the implementation makes the tensors' device
the current one.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from convnext_dense.kernels.support import KERNEL_SIZES, check_input


@torch.library.custom_op('convnext_dense::depthwise_conv_norm', mutates_args=())
def depthwise_conv_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Convolve each channel with its own kernel, then normalize over the channels, without a weight and a bias.

    The stride is 1, and zero padding keeps the map's size. Sums are float32.

    Args:
        x: The map; float32, float16 or bfloat16.
        weight: (C, 1, K, K), K odd and at most 11.
        bias: (C,).
        eps: Added to the variance.
        dtype: The normalized map's dtype.

    Returns:
        The normalized map, and the reciprocal standard deviation of each pixel, (N, H, W) in float32, which has no
        gradient.

    Shape:
        (N, H, W, C) to (N, H, W, C).

    Raises:
        ValueError: If Triton cannot run on the device or in the dtype of `x`, or if a shape does not fit.

    Example:
        >>> import torch
        >>> from convnext_dense.kernels import depthwise_conv_norm
        >>> x, weight, bias = torch.rand(2, 56, 56, 96), torch.rand(96, 1, 7, 7), torch.rand(96)
        >>> normed, rstd = depthwise_conv_norm(
        ...     x.cuda(), weight.cuda(), bias.cuda(), 1e-6, torch.bfloat16
        ... )  # doctest: +SKIP
    """
    _check(x, weight, bias, dtype)
    from convnext_dense.kernels.depthwise_conv.launch import convolve_and_normalize

    with torch.cuda.device_of(x):
        return convolve_and_normalize(x.contiguous(), weight, bias.contiguous(), eps, dtype)


@depthwise_conv_norm.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    normed = torch.empty_like(x, dtype=dtype, memory_format=torch.contiguous_format)
    return normed, x.new_empty(x.shape[:3], dtype=torch.float32)


@torch.library.custom_op('convnext_dense::depthwise_conv_norm_backward', mutates_args=())
def depthwise_conv_norm_backward(
    grad_out: Tensor, normed: Tensor, rstd: Tensor, x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `depthwise_conv_norm`'s input, weight and bias."""
    from convnext_dense.kernels.depthwise_conv.launch import convolve_and_normalize_backward

    with torch.cuda.device_of(x):
        return convolve_and_normalize_backward(grad_out.contiguous(), normed, rstd, x.contiguous(), weight)


@depthwise_conv_norm_backward.register_fake
def _(grad_out: Tensor, normed: Tensor, rstd: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        weight.new_empty(weight.shape[0]),
    )


def _save_for_backward(ctx: FunctionCtx, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, weight, *_ = inputs
    ctx.save_for_backward(*output, x, weight)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: FunctionCtx, grad_out: Tensor | None, _: Tensor | None) -> tuple:
    if grad_out is None:
        return None, None, None, None, None
    return *depthwise_conv_norm_backward(grad_out, *ctx.saved_tensors), None, None


depthwise_conv_norm.register_autograd(_backward, setup_context=_save_for_backward)


def _check(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
    check_input('depthwise_conv_norm', x, dtype)
    channels, kernel_size = x.shape[-1], weight.shape[-1]
    if kernel_size not in KERNEL_SIZES or weight.shape != (channels, 1, kernel_size, kernel_size):
        raise ValueError(
            f'depthwise_conv_norm: weight must be ({channels}, 1, K, K) for x of {channels} channels, K odd and at '
            f'most {KERNEL_SIZES[-1]}; got {tuple(weight.shape)}.'
        )
    if bias.shape != (channels,):
        raise ValueError(f'depthwise_conv_norm: bias must be ({channels},); got {tuple(bias.shape)}.')
    if not x.device == weight.device == bias.device:
        raise ValueError(
            f'depthwise_conv_norm: weight and bias must be on {x.device}, as x is; got {weight.device}, {bias.device}.'
        )
