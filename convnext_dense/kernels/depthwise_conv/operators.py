"""The depthwise convolution, and LayerNorm after it, as operators of PyTorch. Maps are (N, H, W, C).

Each operator has an implementation, which launches kernels; a fake one, which tells shapes; and a backward pass, which
is an operator too. Triton launches on the current device, so the tensors' is made the current one.
"""

import torch
from torch import Tensor

from convnext_dense.kernels.support import KERNEL_SIZES, check_input


@torch.library.custom_op('convnext_dense::depthwise_conv', mutates_args=())
def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Convolve each channel by its own kernel, with stride 1 and as much padding as keeps the size.

    Args:
        x: Float32, float16 or bfloat16.
        weight: (C, 1, K, K), K odd and at most 11.
        bias: (C,).
        dtype: Of the result; sums are float32.

    Shape:
        (N, H, W, C) to (N, H, W, C).

    Raises:
        ValueError: If Triton cannot run on `x`'s device or in its dtype, or a shape does not fit.

    Example:
        >>> import torch
        >>> from convnext_dense.kernels import depthwise_conv
        >>> x, weight, bias = torch.rand(2, 56, 56, 96), torch.rand(96, 1, 7, 7), torch.rand(96)
        >>> depthwise_conv(x.cuda(), weight.cuda(), bias.cuda(), torch.bfloat16).shape  # doctest: +SKIP
        torch.Size([2, 56, 56, 96])
    """
    _check_convolution('depthwise_conv', x, weight, bias, dtype)
    from convnext_dense.kernels.depthwise_conv.launch import convolve

    with torch.cuda.device_of(x):
        return convolve(x.contiguous(), weight, bias.contiguous(), dtype)


@depthwise_conv.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.empty_like(x, dtype=dtype, memory_format=torch.contiguous_format)


@torch.library.custom_op('convnext_dense::depthwise_conv_backward', mutates_args=())
def depthwise_conv_backward(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `depthwise_conv`'s input, weight and bias, the last two summed in two stages."""
    from convnext_dense.kernels.depthwise_conv.launch import convolve_backward

    with torch.cuda.device_of(x):
        return convolve_backward(gradient.contiguous(), x.contiguous(), weight)


@depthwise_conv_backward.register_fake
def _(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _fake_convolution_gradients(x, weight)


def _save_convolution(ctx: object, inputs: tuple, output: Tensor) -> None:
    x, weight, _, _ = inputs
    ctx.save_for_backward(x, weight)


def _convolution_backward(ctx: object, gradient: Tensor) -> tuple:
    return *depthwise_conv_backward(gradient, *ctx.saved_tensors), None


depthwise_conv.register_autograd(_convolution_backward, setup_context=_save_convolution)


@torch.library.custom_op('convnext_dense::depthwise_conv_norm', mutates_args=())
def depthwise_conv_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Convolve as `depthwise_conv`, and normalise over the channels, without a weight and a bias.

    Args:
        x: Float32, float16 or bfloat16.
        weight: (C, 1, K, K), K odd and at most 11.
        bias: (C,).
        eps: Added to the variance.
        dtype: Of the normalised map.

    Returns:
        The normalised map, and 1 / deviation of each pixel, (N, H, W) in float32, which has no gradient.

    Shape:
        (N, H, W, C) to (N, H, W, C).

    Raises:
        ValueError: As `depthwise_conv` does.

    Example:
        >>> import torch
        >>> from convnext_dense.kernels import depthwise_conv_norm
        >>> x, weight, bias = torch.rand(2, 56, 56, 96), torch.rand(96, 1, 7, 7), torch.rand(96)
        >>> normed, rstd = depthwise_conv_norm(
        ...     x.cuda(), weight.cuda(), bias.cuda(), 1e-6, torch.bfloat16
        ... )  # doctest: +SKIP
    """
    _check_convolution('depthwise_conv_norm', x, weight, bias, dtype)
    from convnext_dense.kernels.depthwise_conv.launch import convolve_and_normalize

    with torch.cuda.device_of(x):
        return convolve_and_normalize(x.contiguous(), weight, bias.contiguous(), eps, dtype)


@depthwise_conv_norm.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    normed = torch.empty_like(x, dtype=dtype, memory_format=torch.contiguous_format)
    return normed, x.new_empty(x.shape[:3], dtype=torch.float32)


@torch.library.custom_op('convnext_dense::depthwise_conv_norm_backward', mutates_args=())
def depthwise_conv_norm_backward(
    gradient: Tensor, normed: Tensor, rstd: Tensor, x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `depthwise_conv_norm`'s input, weight and bias."""
    from convnext_dense.kernels.depthwise_conv.launch import convolve_and_normalize_backward

    with torch.cuda.device_of(x):
        return convolve_and_normalize_backward(gradient.contiguous(), normed, rstd, x.contiguous(), weight)


@depthwise_conv_norm_backward.register_fake
def _(gradient: Tensor, normed: Tensor, rstd: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _fake_convolution_gradients(x, weight)


def _save_convolution_and_norm(ctx: object, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, weight, *_ = inputs
    ctx.save_for_backward(*output, x, weight)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _convolution_and_norm_backward(ctx: object, gradient: Tensor | None, _: Tensor | None) -> tuple:
    if gradient is None:
        return None, None, None, None, None
    return *depthwise_conv_norm_backward(gradient, *ctx.saved_tensors), None, None


depthwise_conv_norm.register_autograd(_convolution_and_norm_backward, setup_context=_save_convolution_and_norm)


def _fake_convolution_gradients(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        weight.new_empty(weight.shape[0]),
    )


def _check_convolution(name: str, x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
    check_input(name, x, dtype)
    channels, kernel_size = x.shape[-1], weight.shape[-1]
    if kernel_size not in KERNEL_SIZES or weight.shape != (channels, 1, kernel_size, kernel_size):
        raise ValueError(
            f'{name}: weight must be ({channels}, 1, K, K) for x of {channels} channels, K odd and at most '
            f'{KERNEL_SIZES[-1]}; got {tuple(weight.shape)}.'
        )
    if bias.shape != (channels,):
        raise ValueError(f'{name}: bias must be ({channels},); got {tuple(bias.shape)}.')
    if not x.device == weight.device == bias.device:
        raise ValueError(f'{name}: weight and bias must be on {x.device}, as x is; got {weight.device}, {bias.device}.')
