"""The pointwise half of a block, as operators of PyTorch. Maps are (N, H, W, C).

Each operator has an implementation, which launches kernels, a fake one, which gives shapes and dtypes, and a backward
pass, which is an operator too. Triton launches on the current device, so the implementation makes the tensors' device
the current one.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from convnext_dense.kernels.pointwise_mlp.grn import compute_grn
from convnext_dense.kernels.support import DTYPES, check_input


@torch.library.custom_op('convnext_dense::pointwise_mlp', mutates_args=())
def pointwise_mlp(
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    residual: Tensor,
    drop_path_scale: Tensor | None,
    layer_scale: Tensor | None,
    grn_weight: Tensor | None,
    grn_eps: float,
    dtype: torch.dtype,
    keep_hidden: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute the pointwise half of a block, including the residual.

    .. math:: y = r + s \, t \odot (W_2 \, \mathrm{GRN}(\mathrm{GELU}(W_1 x + b_1)) + b_2)

    Args:
        x: The normalized map; float32, float16 or bfloat16.
        weight1: (D, C), in the dtype of `x`.
        bias1: (D,), float32.
        weight2: (C, D), in the dtype of `x` or in float32. It is multiplied in the dtype of `x`; its gradient has its
            own dtype.
        bias2: (C,), float32.
        residual: r, in any of the three dtypes.
        drop_path_scale: s, (N,), float32: 0 for an image whose block is dropped. None means 1.
        layer_scale: t, (C,), float32: each channel's factor, taken out of `weight2` and `bias2` because half precision
            could not hold them with it. It has no gradient. None means 1.
        grn_weight: GRN's weight, (D,), float32. None leaves GRN out. The caller adds `weight2` times GRN's bias to
            `bias2`.
        grn_eps: Added to GRN's mean norm.
        dtype: The result's dtype.
        keep_hidden: Whether to keep the hidden layer for the backward pass, which recomputes it otherwise.

    Returns:
        Three tensors: y; the hidden layer before GELU, empty unless kept; and the sums of squares of each image's
        hidden channels, (N, D), empty without GRN. Only y has a gradient.

    Shape:
        (N, H, W, C) to (N, H, W, C).

    Raises:
        ValueError: If Triton cannot run on the device or in the dtype of `x`, or if a shape does not fit.

    Example:
        >>> import torch
        >>> from convnext_dense.kernels import pointwise_mlp
        >>> x, weight1, weight2 = torch.rand(2, 56, 56, 96), torch.rand(384, 96), torch.rand(96, 384)
        >>> bias1, bias2 = torch.zeros(384), torch.zeros(96)
        >>> y, hidden, _ = pointwise_mlp(
        ...     x, weight1, bias1, weight2, bias2, x, None, None, None, 1e-6, torch.float32, True
        ... )  # doctest: +SKIP
    """
    check_input('pointwise_mlp', x, dtype)
    _check(
        x,
        weight1=weight1,
        bias1=bias1,
        weight2=weight2,
        bias2=bias2,
        residual=residual,
        drop_path_scale=drop_path_scale,
        layer_scale=layer_scale,
        grn_weight=grn_weight,
    )
    from convnext_dense.kernels.pointwise_mlp.launch import hidden_layer, output_layer

    weight1, weight2, bias1, bias2 = (tensor.contiguous() for tensor in (weight1, weight2, bias1, bias2))
    with torch.cuda.device_of(x):
        hidden, activated, squares = hidden_layer(x.contiguous(), weight1, bias1, grn_weight is not None, keep_hidden)
        y = output_layer(
            activated,
            None if grn_weight is None else compute_grn(squares, grn_weight, grn_eps).scale,
            weight2.to(x.dtype),
            bias2,
            layer_scale,
            residual.contiguous(),
            drop_path_scale,
            dtype,
        )
    hidden, squares = (x.new_empty(0) if tensor is None else tensor for tensor in (hidden, squares))
    return y, hidden, squares


@pointwise_mlp.register_fake
def _(x: Tensor, weight1: Tensor, *others: object) -> tuple[Tensor, Tensor, Tensor]:
    *_, residual, _, _, grn_weight, _, dtype, keep_hidden = others
    shapes = _shapes(x, weight1)
    return (
        torch.empty_like(residual, dtype=dtype, memory_format=torch.contiguous_format),
        x.new_empty(shapes['hidden'] if keep_hidden else 0),
        x.new_empty(0) if grn_weight is None else x.new_empty(shapes['squares'], dtype=torch.float32),
    )


@torch.library.custom_op('convnext_dense::pointwise_mlp_backward', mutates_args=())
def pointwise_mlp_backward(
    grad_out: Tensor,
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    drop_path_scale: Tensor | None,
    layer_scale: Tensor | None,
    grn_weight: Tensor | None,
    grn_eps: float,
    hidden: Tensor,
    squares: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of `pointwise_mlp`'s `x`, `weight1`, `bias1`, `weight2`, `bias2` and `grn_weight`.

    The last one is empty without GRN. `hidden` is recomputed if it is empty.
    """
    from convnext_dense.kernels.pointwise_mlp import launch

    grad_out, x, weight1 = grad_out.contiguous(), x.contiguous(), weight1.contiguous()
    with torch.cuda.device_of(x):
        if not hidden.numel():
            recomputed, _, _ = launch.hidden_layer(
                x, weight1, bias1, grn_weight is not None, keep_hidden=True, activate=False
            )
            assert recomputed is not None
            hidden = recomputed
        grn = None if grn_weight is None else compute_grn(squares, grn_weight, grn_eps)
        grad_hidden, grad_bias1, grad_grn_weight, activated = launch.hidden_gradient(
            grad_out, hidden, weight2.to(x.dtype).contiguous(), drop_path_scale, layer_scale, grn
        )
        grn_scale = None if grn is None else grn.scale
        grad_weight2, grad_bias2 = launch.output_weight_gradient(
            grad_out, hidden, drop_path_scale, grn_scale, activated
        )
    if layer_scale is not None:
        grad_weight2, grad_bias2 = grad_weight2 * layer_scale[:, None], grad_bias2 * layer_scale
    rows = grad_hidden.flatten(0, 2)
    return (
        (rows @ weight1).view_as(x),
        rows.t() @ x.flatten(0, 2),
        grad_bias1,
        grad_weight2.to(weight2.dtype),
        grad_bias2,
        x.new_empty(0, dtype=torch.float32) if grad_grn_weight is None else grad_grn_weight,
    )


@pointwise_mlp_backward.register_fake
def _(
    grad_out: Tensor, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, *others: object
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    _, _, grn_weight, *_ = others
    shapes = _shapes(x, weight1)
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        x.new_empty(shapes['weight1']),
        x.new_empty(shapes['bias1'], dtype=torch.float32),
        weight2.new_empty(shapes['weight2']),
        x.new_empty(shapes['bias2'], dtype=torch.float32),
        x.new_empty(0 if grn_weight is None else shapes['grn_weight'], dtype=torch.float32),
    )


def _save_for_backward(ctx: FunctionCtx, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight1, bias1, weight2, _, residual, drop_path_scale, layer_scale, grn_weight, ctx.grn_eps, _, _ = inputs
    _, hidden, squares = output
    ctx.residual_dtype = residual.dtype
    ctx.save_for_backward(x, weight1, bias1, weight2, drop_path_scale, layer_scale, grn_weight, hidden, squares)
    ctx.mark_non_differentiable(hidden, squares)
    ctx.set_materialize_grads(False)


def _backward(ctx: FunctionCtx, grad_out: Tensor | None, *_: Tensor | None) -> tuple:
    if grad_out is None:
        return (None,) * 12
    *saved, hidden, squares = ctx.saved_tensors
    *gradients, grad_grn_weight = pointwise_mlp_backward(grad_out, *saved, ctx.grn_eps, hidden, squares)
    if saved[-1] is None:
        grad_grn_weight = None
    return *gradients, grad_out.to(ctx.residual_dtype), None, None, grad_grn_weight, None, None, None


pointwise_mlp.register_autograd(_backward, setup_context=_save_for_backward)


def _shapes(x: Tensor, weight1: Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors that belong to `x` and `weight1`, by name."""
    (images, height, width, channels), hidden_channels = x.shape, weight1.shape[0]
    return dict(
        weight1=(hidden_channels, channels),
        bias1=(hidden_channels,),
        weight2=(channels, hidden_channels),
        bias2=(channels,),
        residual=tuple(x.shape),
        drop_path_scale=(images,),
        layer_scale=(channels,),
        grn_weight=(hidden_channels,),
        hidden=(images, height, width, hidden_channels),
        squares=(images, hidden_channels),
    )


def _check(x: Tensor, **tensors: Tensor | None) -> None:
    """Raise ValueError if a tensor's shape, device or dtype does not fit `x`."""
    shapes = _shapes(x, tensors['weight1'])
    dtypes = dict(weight1=(x.dtype,), weight2=(x.dtype, torch.float32), residual=DTYPES)
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if tensor.shape != shapes[name]:
            raise ValueError(f'pointwise_mlp: {name} must be {shapes[name]}; got {tuple(tensor.shape)}.')
        if tensor.device != x.device:
            raise ValueError(f'pointwise_mlp: {name} must be on {x.device}, as x is; got {tensor.device}.')
        allowed = dict.fromkeys(dtypes.get(name, (torch.float32,)))
        if tensor.dtype not in allowed:
            names = ' or '.join(map(str, allowed))
            raise ValueError(f'pointwise_mlp: {name} must be {names} for x of {x.dtype}; got {tensor.dtype}.')
