"""Deformable convolution, v1 (https://arxiv.org/abs/1703.06211) and v2 (https://arxiv.org/abs/1811.11168)."""

from typing import NamedTuple

import torch
from torch import Tensor

from convnext_dense.compat.ops.deform_geometry import Geometry, on_the_edge
from convnext_dense.compat.ops.precision import at_least_float32


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill `output` (N, C_out, H_out, W_out).

    Args:
        input: (N, C_in, H, W).
        weight: (C_out, C_in / group, kH, kW).
        offset: (N, 2 * deformable_group * kH * kW, H_out, W_out), (y, x) in pixels for each point of the kernel.
        output: The tensor to fill.
        columns: Unused buffer of mmcv's kernel.
        ones: Unused buffer of mmcv's kernel.
        kW: Kernel width.
        kH: Kernel height.
        dW: Horizontal stride.
        dH: Vertical stride.
        padW: Horizontal padding.
        padH: Vertical padding.
        dilationW: Horizontal dilation.
        dilationH: Vertical dilation.
        group: Groups of the convolution.
        deformable_group: Groups of channels that share their offsets.
        im2col_step: Unused: the number of images that mmcv's kernel processes at a time.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    _forward(input, weight, offset, None, None, output, geometry)


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill `grad_input` and `grad_offset`; the other arguments are those of `deform_conv_forward`."""
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    grads = _backward(grad_output, input, weight, offset, None, None, geometry)
    grad_input.copy_(grads.input)
    grad_offset.copy_(grads.offset)


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add `scale` times the gradient to `grad_weight`; the other arguments are those of `deform_conv_forward`."""
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    # torchvision computes all gradients at once, and needs a weight of the right shape for it.
    channels = grad_output.shape[1]
    weight = grad_weight.new_zeros((channels, input.shape[1] // group, kH, kW))
    grads = _backward(grad_output, input, weight, offset, None, None, geometry)
    grad_weight.add_(grads.weight.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill `output` (N, C_out, H_out, W_out).

    Args:
        input: (N, C_in, H, W).
        weight: (C_out, C_in / group, kernel_h, kernel_w).
        bias: (C_out,), unused unless `with_bias`.
        ones: Unused buffer of mmcv's kernel.
        offset: (N, 2 * deformable_group * kernel_h * kernel_w, H_out, W_out), (y, x) in pixels.
        mask: (N, deformable_group * kernel_h * kernel_w, H_out, W_out), the factor of each point of the kernel.
        output: The tensor to fill.
        columns: Unused buffer of mmcv's kernel.
        kernel_h: Kernel height.
        kernel_w: Kernel width.
        stride_h: Vertical stride.
        stride_w: Horizontal stride.
        pad_h: Vertical padding.
        pad_w: Horizontal padding.
        dilation_h: Vertical dilation.
        dilation_w: Horizontal dilation.
        group: Groups of the convolution.
        deformable_group: Groups of channels that share their offsets and masks.
        with_bias: Whether to add `bias`.
    """
    geometry = Geometry(stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    _forward(input, weight, offset, mask, bias if with_bias else None, output, geometry)


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill the five gradients; the other arguments are those of `modulated_deform_conv_forward`."""
    geometry = Geometry(stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    grads = _backward(grad_output, input, weight, offset, mask, bias if with_bias else None, geometry)
    grad_input.copy_(grads.input)
    grad_weight.copy_(grads.weight)
    grad_offset.copy_(grads.offset)
    grad_mask.copy_(grads.mask)
    if with_bias:
        grad_bias.copy_(grads.bias)


class Gradients(NamedTuple):
    """What torchvision's backward returns, in its order."""

    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def _operands(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> tuple[Tensor, ...]:
    input = at_least_float32(input)
    if mask is None:
        mask = input.new_zeros((len(input), 1))
    else:
        size = _output_size(input, weight, geometry)
        offset, mask = _read_as(offset, size), _read_as(mask, size)
    if bias is None:
        bias = input.new_zeros(len(weight))
    return tuple(operand.to(input.dtype) for operand in (input, weight, offset, mask, bias))


def _output_size(input: Tensor, weight: Tensor, geometry: Geometry) -> tuple[int, int]:
    """Return the height and width of the output."""
    paddings, strides, dilations = geometry[2:4], geometry[:2], geometry[4:6]
    rows = zip(input.shape[-2:], weight.shape[-2:], strides, paddings, dilations, strict=True)
    height, width = ((size + 2 * pad - dil * (kernel - 1) - 1) // stride + 1 for size, kernel, stride, pad, dil in rows)
    return height, width


def _read_as(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return offsets or masks of another size than the output's as mmcv's kernels read them.

    mmdet's DyHead and VLFusion give a convolution of stride 2 the offsets of stride 1. mmcv takes the first numbers of
    each image's memory for maps of the output's size.
    """
    numbers = maps.shape[1] * size[0] * size[1]
    if maps.shape[-2:] == size or maps.shape[1:].numel() < numbers:
        return maps
    return maps.flatten(1)[:, :numbers].reshape(len(maps), -1, *size)


def _written_as(grad: Tensor, maps: Tensor) -> Tensor:
    """Return the gradient of what `_read_as` returned as the gradient of what it was given: 0 for what is not read."""
    if grad.shape == maps.shape:
        return grad
    written = grad.new_zeros(len(maps), maps.shape[1:].numel())
    written[:, : grad.shape[1:].numel()] = grad.flatten(1)
    return written.reshape(maps.shape)


def _forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    output: Tensor,
    geometry: Geometry,
) -> None:
    operands = _operands(input, weight, offset, mask, bias, geometry)
    output.copy_(torch.ops.torchvision.deform_conv2d(*operands, *geometry, mask is not None))


def _backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: Geometry,
) -> Gradients:
    operands = _operands(input, weight, offset, mask, bias, geometry)
    grads = Gradients(
        *torch.ops.torchvision._deform_conv2d_backward(
            grad_output.to(operands[0].dtype), *operands, *geometry, mask is not None
        )
    )
    read = operands[2]
    grad_offset = grads.offset.masked_fill(on_the_edge(read, weight, geometry), 0)
    grads = grads._replace(offset=_written_as(grad_offset, offset))
    return grads if mask is None else grads._replace(mask=_written_as(grads.mask, mask))
