"""Launches the kernels of the block's pointwise layers. Maps are (N, H, W, C) or (N, H, W, D), contiguous."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from convnext_dense.kernels.launching import OPTIONS, tune
from convnext_dense.kernels.numerics import product_precision
from convnext_dense.kernels.pointwise_mlp import triton_kernels as kernels
from convnext_dense.kernels.pointwise_mlp.grn import grn_response_backward

# Of more, what was activated is written once rather than computed anew in each of the weight's tiles.
MOST_CHANNELS_TO_ACTIVATE_ANEW = 256
# Enough programs to fill any GPU several times, but parts of at least so many rows.
GRADIENT_PROGRAMS = 512
FEWEST_ROWS_OF_A_PART = 512


class ProductTile(NamedTuple):
    """What a program of a product has: rows, columns, the step along the sum, the warps, the stages of its pipeline."""

    rows: int
    columns: int
    step: int
    warps: int
    stages: int


# Of the pass through GRN's gradient, which has no product.
GRN_TILE = ProductTile(rows=64, columns=64, step=0, warps=4, stages=1)
FLOAT32_TILES = [ProductTile(64, 64, 32, 8, 1), ProductTile(32, 64, 32, 4, 1)]
# Of the sum over rows, where a step along the sum is so many rows.
GRADIENT_TILES = [ProductTile(64, 128, 32, 4, 3), ProductTile(128, 128, 32, 8, 3), ProductTile(64, 64, 64, 4, 3)]


class Grouping(NamedTuple):
    """How rows lie: the rows of a group, and the pixels of an image."""

    group_size: int
    num_groups: int
    pixels: int


def _product_tiles(inner: int, dtype: torch.dtype) -> list[ProductTile]:
    """Return the tiles worth trying, the largest first; no GPU since Ampere has too little shared memory for them."""
    if dtype == torch.float32:
        return FLOAT32_TILES
    step = 32 if inner % 64 else 64
    return [ProductTile(128, 128, step, 8, 3), ProductTile(128, 64, step, 8, 3), ProductTile(64, 128, step, 8, 3)]


def _grouping(x: Tensor, grn: bool) -> Grouping:
    images, height, width, _ = x.shape
    pixels = height * width
    return Grouping(pixels, images, pixels) if grn else Grouping(images * pixels, 1, pixels)


def _options(tile: ProductTile, dtype: torch.dtype) -> dict:
    return dict(
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        STEP=tile.step,
        PRECISION=product_precision(dtype),
        num_warps=tile.warps,
        num_stages=tile.stages,
        **OPTIONS,
    )


def _grid(tile: ProductTile, grouping: Grouping, columns: int) -> tuple[tuple[int], int]:
    """Return the grid of a product and the number of a group's row tiles."""
    tiles = triton.cdiv(grouping.group_size, tile.rows)
    return (grouping.num_groups * tiles * triton.cdiv(columns, tile.columns),), tiles


def hidden_layer(
    x: Tensor, weight: Tensor, bias: Tensor, grn: bool, keep_hidden: bool, activate: bool = True
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the hidden layer before and after GELU, and with `grn` each image's sums of squares, (N, D)."""
    hidden_channels, channels = weight.shape
    grouping = _grouping(x, grn)

    def launch(tile: ProductTile) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        grid, tiles = _grid(tile, grouping, hidden_channels)
        shape = (*x.shape[:3], hidden_channels)
        hidden = x.new_empty(shape) if keep_hidden else None
        activated = x.new_empty(shape) if activate else None
        shape = (grouping.num_groups, tiles, hidden_channels)
        squares = x.new_empty(shape, dtype=torch.float32) if grn and activate else None
        kernels.hidden_kernel[grid](
            x,
            weight,
            bias,
            hidden,
            activated,
            squares,
            grouping.group_size,
            C=channels,
            D=hidden_channels,
            **_options(tile, x.dtype),
        )
        return hidden, activated, None if squares is None else squares.sum(1)

    code = (x.dtype, product_precision(x.dtype), channels, grn, keep_hidden, activate)
    return tune('hidden_layer', code, x, _product_tiles(channels, x.dtype), launch)


def output_layer(
    activated: Tensor,
    response: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    gain: Tensor | None,
    residual: Tensor,
    scale: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    """Return residual + scale * gain * ((response * activated) weight^T + bias)."""
    channels, hidden_channels = weight.shape
    grouping = _grouping(activated, response is not None)

    def launch(tile: ProductTile) -> Tensor:
        grid, _ = _grid(tile, grouping, channels)
        out = torch.empty_like(residual, dtype=dtype)
        kernels.output_kernel[grid](
            activated,
            response,
            weight,
            bias,
            gain,
            residual,
            scale,
            out,
            grouping.group_size,
            grouping.pixels,
            C=channels,
            D=hidden_channels,
            **_options(tile, weight.dtype),
        )
        return out

    code = (
        weight.dtype,
        product_precision(weight.dtype),
        residual.dtype,
        dtype,
        channels,
        response is not None,
        gain is not None,
        scale is not None,
    )
    return tune('output_layer', code, activated, _product_tiles(hidden_channels, weight.dtype), launch)


def hidden_gradient(
    gradient: Tensor,
    hidden: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    gain: Tensor | None,
    response: Tensor | None,
    squares: Tensor | None,
    grn_weight: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of the hidden layer before GELU, of its bias, and of GRN's weight.

    The last is, of many channels, what the second layer was given: its weight's gradient would compute GELU anew for
    each block of channels.
    """
    channels, hidden_channels = weight.shape
    grn = response is not None
    grouping = _grouping(hidden, grn)
    keep_activated = channels > MOST_CHANNELS_TO_ACTIVATE_ANEW

    def launch(tile: ProductTile) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        grid, tiles = _grid(tile, grouping, hidden_channels)
        out = torch.empty_like(hidden)
        activated = torch.empty_like(hidden) if keep_activated else None
        sums = hidden.new_empty((grouping.num_groups, tiles, hidden_channels), dtype=torch.float32)
        kernels.hidden_gradient_kernel[grid](
            gradient,
            scale,
            gain,
            weight,
            hidden,
            response,
            out,
            activated,
            sums,
            grouping.group_size,
            grouping.pixels,
            C=channels,
            D=hidden_channels,
            **_options(tile, weight.dtype),
        )
        if not grn:
            return out, sums.sum((0, 1)), None, activated
        weight_gradient, slope = grn_response_backward(sums.sum(1), squares, grn_weight, eps)
        return out, _grn_gradient(out, hidden, response, slope, grouping), weight_gradient, activated

    code = (
        weight.dtype,
        product_precision(weight.dtype),
        gradient.dtype,
        channels,
        grn,
        scale is not None,
        gain is not None,
    )
    # The smallest first: the largest, with all that its epilogue holds, has too many registers.
    return tune('hidden_gradient', code, hidden, _product_tiles(channels, weight.dtype)[::-1], launch)


def _grn_gradient(gradient: Tensor, hidden: Tensor, response: Tensor, slope: Tensor, grouping: Grouping) -> Tensor:
    """Take a gradient back, in place, through GRN and GELU; return the first bias's gradient."""
    hidden_channels = hidden.shape[-1]
    grid, tiles = _grid(GRN_TILE, grouping, hidden_channels)
    sums = response.new_empty((grouping.num_groups, tiles, hidden_channels))
    kernels.grn_gradient_kernel[grid](
        gradient,
        hidden,
        response,
        slope,
        sums,
        grouping.group_size,
        D=hidden_channels,
        ROWS=GRN_TILE.rows,
        COLUMNS=GRN_TILE.columns,
        num_warps=GRN_TILE.warps,
        **OPTIONS,
    )
    return sums.sum((0, 1))


def output_weight_gradient(
    gradient: Tensor, hidden: Tensor | None, scale: Tensor | None, response: Tensor | None, activated: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the second layer's weight and bias, summed in two stages.

    What the layer was given is `activated`, or without it computed anew from `hidden` and `response`.
    """
    read = hidden if activated is None else activated
    channels, hidden_channels = gradient.shape[-1], read.shape[-1]
    num_rows = gradient.numel() // channels
    pixels = gradient.shape[1] * gradient.shape[2]

    def launch(tile: ProductTile) -> tuple[Tensor, Tensor]:
        tiles = triton.cdiv(channels, tile.rows) * triton.cdiv(hidden_channels, tile.columns)
        most_parts = triton.cdiv(num_rows, FEWEST_ROWS_OF_A_PART)
        rows_per_part = max(1, triton.cdiv(num_rows, max(1, min(most_parts, GRADIENT_PROGRAMS // tiles))))
        parts = triton.cdiv(num_rows, rows_per_part)
        weight_partial = gradient.new_empty((parts, channels, hidden_channels), dtype=torch.float32)
        bias_partial = gradient.new_empty((parts, channels), dtype=torch.float32)
        kernels.output_weight_gradient_kernel[(tiles, parts)](
            gradient,
            scale,
            hidden,
            response,
            activated,
            weight_partial,
            bias_partial,
            num_rows,
            rows_per_part,
            pixels,
            C=channels,
            D=hidden_channels,
            **_options(tile, read.dtype),
        )
        return weight_partial.sum(0), bias_partial.sum(0)

    given = (scale is not None, response is not None, activated is not None)
    code = (read.dtype, product_precision(read.dtype), gradient.dtype, channels, *given)
    candidates = FLOAT32_TILES if read.dtype == torch.float32 else GRADIENT_TILES
    return tune('output_weight_gradient', code, read, candidates, launch)
