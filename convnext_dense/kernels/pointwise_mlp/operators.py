"""The pointwise half of a block as operators of PyTorch. Maps are (N, H, W, C).

Each operator has an implementation, which launches kernels; a fake one, which tells shapes; and a backward pass, which
is an operator too. Triton launches on the current device, so the tensors' is made the current one.
"""

import torch
from torch import Tensor

from convnext_dense.kernels.pointwise_mlp.grn import grn_response
from convnext_dense.kernels.support import DTYPES, check_input


@torch.library.custom_op('convnext_dense::pointwise_mlp', mutates_args=())
def pointwise_mlp(
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    residual: Tensor,
    scale: Tensor | None,
    gain: Tensor | None,
    grn_weight: Tensor | None,
    grn_eps: float,
    dtype: torch.dtype,
    keep_hidden: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute the pointwise half of a block, with the residual.

    .. math:: y = r + s \, t \odot (W_2 \, \mathrm{GRN}(\mathrm{GELU}(W_1 x + b_1)) + b_2)

    Args:
        x: Float32, float16 or bfloat16.
        weight1: (D, C), in `x`'s dtype.
        bias1: (D,), float32.
        weight2: (C, D), in `x`'s dtype, or in float32, in which its gradient then is; `x`'s dtype multiplies.
        bias2: (C,), float32.
        residual: r, in any of those dtypes.
        scale: s, (N,), float32: 0 for an image whose block is dropped. None is 1.
        gain: t, (C,), float32: of each channel, what was taken out of `weight2` and `bias2` so that half precision
            can hold them. It has no gradient. None is 1.
        grn_weight: GRN's, (D,), float32; None leaves GRN out. Its bias is to be in `bias2`, times `weight2`.
        grn_eps: Added to GRN's mean norm.
        dtype: Of the result.
        keep_hidden: Whether the hidden layer is kept for the backward pass, which else computes it anew.

    Returns:
        y; the hidden layer before GELU, or an empty tensor; and with GRN the sums of squares of each image and
        channel, (N, D), else an empty tensor. The latter two have no gradient.

    Shape:
        (N, H, W, C) to (N, H, W, C).

    Raises:
        ValueError: If Triton cannot run on `x`'s device or in its dtype, or a shape does not fit.

    Example:
        >>> import torch
        >>> from convnext_dense.kernels import pointwise_mlp
        >>> x, weight1, weight2 = torch.rand(2, 56, 56, 96), torch.rand(384, 96), torch.rand(96, 384)
        >>> bias1, bias2 = torch.zeros(384), torch.zeros(96)
        >>> y, hidden, _ = pointwise_mlp(
        ...     x, weight1, bias1, weight2, bias2, x, None, None, None, 1e-6, torch.float32, True
        ... )  # doctest: +SKIP
    """
    _check_mlp(x, weight1, bias1, weight2, bias2, residual, scale, gain, grn_weight, dtype)
    from convnext_dense.kernels.pointwise_mlp.launch import hidden_layer, output_layer

    grn = grn_weight is not None
    weight1, weight2, bias1, bias2 = (each.contiguous() for each in (weight1, weight2, bias1, bias2))
    with torch.cuda.device_of(x):
        hidden, activated, squares = hidden_layer(x.contiguous(), weight1, bias1, grn, keep_hidden)
        response = grn_response(squares, grn_weight, grn_eps) if grn else None
        out = output_layer(activated, response, weight2.to(x.dtype), bias2, gain, residual.contiguous(), scale, dtype)
    nothing = [x.new_empty(0) if each is None else each for each in (hidden, squares)]
    return out, *nothing


@pointwise_mlp.register_fake
def _(
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    residual: Tensor,
    scale: Tensor | None,
    gain: Tensor | None,
    grn_weight: Tensor | None,
    grn_eps: float,
    dtype: torch.dtype,
    keep_hidden: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    hidden_channels = weight1.shape[0]
    hidden = x.new_empty((*x.shape[:3], hidden_channels) if keep_hidden else 0)
    squares = x.new_empty(0) if grn_weight is None else x.new_empty((x.shape[0], hidden_channels), dtype=torch.float32)
    return torch.empty_like(residual, dtype=dtype, memory_format=torch.contiguous_format), hidden, squares


@torch.library.custom_op('convnext_dense::pointwise_mlp_backward', mutates_args=())
def pointwise_mlp_backward(
    gradient: Tensor,
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    scale: Tensor | None,
    gain: Tensor | None,
    grn_weight: Tensor | None,
    grn_eps: float,
    hidden: Tensor,
    squares: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of `pointwise_mlp`'s `x`, weights and biases in their order, and of GRN's weight."""
    from convnext_dense.kernels.pointwise_mlp import launch as kernels

    gradient, x, weight1 = gradient.contiguous(), x.contiguous(), weight1.contiguous()
    grn = grn_weight is not None
    with torch.cuda.device_of(x):
        if not hidden.numel():
            hidden, _, _ = kernels.hidden_layer(x, weight1, bias1, grn, keep_hidden=True, activate=False)
        response = grn_response(squares, grn_weight, grn_eps) if grn else None
        hidden_gradient, bias1_gradient, grn_gradient, activated = kernels.hidden_gradient(
            gradient,
            hidden,
            weight2.to(x.dtype).contiguous(),
            scale,
            gain,
            response,
            squares,
            grn_weight,
            grn_eps,
        )
        weight2_gradient, bias2_gradient = kernels.output_weight_gradient(gradient, hidden, scale, response, activated)
    if gain is not None:
        weight2_gradient, bias2_gradient = weight2_gradient * gain[:, None], bias2_gradient * gain
    rows = hidden_gradient.flatten(0, 2)
    return (
        (rows @ weight1).view_as(x),
        rows.t() @ x.flatten(0, 2),
        bias1_gradient,
        weight2_gradient.to(weight2.dtype),
        bias2_gradient,
        x.new_empty(0, dtype=torch.float32) if grn_gradient is None else grn_gradient,
    )


@pointwise_mlp_backward.register_fake
def _(
    gradient: Tensor,
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    scale: Tensor | None,
    gain: Tensor | None,
    grn_weight: Tensor | None,
    grn_eps: float,
    hidden: Tensor,
    squares: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    hidden_channels, channels = weight1.shape
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        x.new_empty((hidden_channels, channels)),
        x.new_empty(hidden_channels, dtype=torch.float32),
        weight2.new_empty((channels, hidden_channels)),
        x.new_empty(channels, dtype=torch.float32),
        x.new_empty(0 if grn_weight is None else hidden_channels, dtype=torch.float32),
    )


def _save_mlp(ctx: object, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight1, bias1, weight2, _, residual, scale, gain, grn_weight, ctx.grn_eps, _, _ = inputs
    _, hidden, squares = output
    ctx.residual_dtype = residual.dtype
    ctx.save_for_backward(x, weight1, bias1, weight2, scale, gain, grn_weight, hidden, squares)
    ctx.mark_non_differentiable(hidden, squares)
    ctx.set_materialize_grads(False)


def _mlp_backward(ctx: object, gradient: Tensor | None, *_: Tensor | None) -> tuple:
    if gradient is None:
        return (None,) * 12
    *given, hidden, squares = ctx.saved_tensors
    gradients = pointwise_mlp_backward(gradient, *given, ctx.grn_eps, hidden, squares)
    grn_gradient = None if given[-1] is None else gradients[5]
    return *gradients[:5], gradient.to(ctx.residual_dtype), None, None, grn_gradient, None, None, None


pointwise_mlp.register_autograd(_mlp_backward, setup_context=_save_mlp)


def _check_mlp(
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    residual: Tensor,
    scale: Tensor | None,
    gain: Tensor | None,
    grn_weight: Tensor | None,
    dtype: torch.dtype,
) -> None:
    check_input('pointwise_mlp', x, dtype)
    channels, hidden_channels, exact = x.shape[-1], weight1.shape[0], (torch.float32,)
    for name, tensor, shape, dtypes in (
        ('weight1', weight1, (hidden_channels, channels), (x.dtype,)),
        ('bias1', bias1, (hidden_channels,), exact),
        ('weight2', weight2, (channels, hidden_channels), (x.dtype, torch.float32)),
        ('bias2', bias2, (channels,), exact),
        ('residual', residual, tuple(x.shape), DTYPES),
        ('scale', scale, x.shape[:1], exact),
        ('gain', gain, (channels,), exact),
        ('grn_weight', grn_weight, (hidden_channels,), exact),
    ):
        if tensor is None:
            continue
        if tensor.shape != shape:
            raise ValueError(f'pointwise_mlp: {name} must be {tuple(shape)}; got {tuple(tensor.shape)}.')
        if tensor.device != x.device:
            raise ValueError(f'pointwise_mlp: {name} must be on {x.device}, as x is; got {tensor.device}.')
        if tensor.dtype not in dtypes:
            allowed = ' or '.join(map(str, dict.fromkeys(dtypes)))
            raise ValueError(f'pointwise_mlp: {name} must be {allowed} for x of {x.dtype}; got {tensor.dtype}.')
