"""Launches the kernels of the block's pointwise layers. Maps are (N, H, W, C) or (N, H, W, D), contiguous.

What GRN needs lies between the kernels, as PyTorch operations on a value for each image and channel.
"""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from convnext_dense.kernels import pointwise_mlp_triton as kernels
from convnext_dense.kernels.launching import OPTIONS, tune

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
    """Return the tiles worth trying; for the first, no GPU since Ampere has too little shared memory or registers."""
    if dtype == torch.float32:
        return FLOAT32_TILES
    step = 32 if inner % 64 else 64
    return [ProductTile(128, 128, step, 8, 3), ProductTile(128, 64, step, 8, 3), ProductTile(64, 128, step, 8, 4)]


def _grouping(x: Tensor, grn: bool) -> Grouping:
    images, height, width, _ = x.shape
    pixels = height * width
    return Grouping(pixels, images, pixels) if grn else Grouping(images * pixels, 1, pixels)


def _options(tile: ProductTile) -> dict:
    precision = 'tf32' if torch.backends.cuda.matmul.allow_tf32 else 'ieee'
    return dict(
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        STEP=tile.step,
        PRECISION=precision,
        num_warps=tile.warps,
        num_stages=tile.stages,
        **OPTIONS,
    )


def _grid(tile: ProductTile, grouping: Grouping, columns: int) -> tuple[tuple[int], int]:
    """Return the grid of a product and the number of its row tiles."""
    row_tiles = triton.cdiv(grouping.group_size, tile.rows) * grouping.num_groups
    return (row_tiles * triton.cdiv(columns, tile.columns),), row_tiles


def hidden_layer(
    x: Tensor, weight: Tensor, bias: Tensor, grn: bool, keep_hidden: bool, activate: bool = True
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the hidden layer before and after GELU, and with `grn` each image's sums of squares, (N, D)."""
    hidden_channels, channels = weight.shape
    grouping = _grouping(x, grn)

    def launch(tile: ProductTile) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        grid, row_tiles = _grid(tile, grouping, hidden_channels)
        shape = (*x.shape[:3], hidden_channels)
        hidden = x.new_empty(shape) if keep_hidden else None
        activated = x.new_empty(shape) if activate else None
        squares = x.new_empty((row_tiles, hidden_channels), dtype=torch.float32) if grn and activate else None
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
            **_options(tile),
        )
        if squares is not None:
            squares = squares.view(grouping.num_groups, -1, hidden_channels).sum(1)
        return hidden, activated, squares

    code = (x.dtype, channels, grn, keep_hidden, activate)
    return tune('hidden_layer', code, x, _product_tiles(channels, x.dtype), launch)


def output_layer(
    activated: Tensor,
    response: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor,
    scale: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    """Return residual + scale * ((response * activated) weight^T + bias)."""
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
            residual,
            scale,
            out,
            grouping.group_size,
            grouping.pixels,
            C=channels,
            D=hidden_channels,
            **_options(tile),
        )
        return out

    code = (weight.dtype, residual.dtype, dtype, channels, response is not None, scale is not None)
    return tune('output_layer', code, activated, _product_tiles(hidden_channels, weight.dtype), launch)


def grn_response(squares: Tensor, grn_weight: Tensor, eps: float) -> Tensor:
    """Return what GRN multiplies each channel of an image by, (N, D), of the sums of squares."""
    norm = squares.sqrt()
    return 1 + grn_weight * norm / (norm.mean(-1, keepdim=True) + eps)


def grn_response_backward(gradient: Tensor, squares: Tensor, grn_weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the gradient of GRN's weight, and what an activation times it is its gradient through the norm."""
    norm = squares.sqrt()
    mean = norm.mean(-1, keepdim=True) + eps
    weight_gradient = (gradient * norm / mean).sum(0)
    through = gradient * grn_weight
    norm_gradient = through / mean - (through * norm).mean(-1, keepdim=True) / mean.square()
    return weight_gradient, torch.where(norm > 0, norm_gradient / norm, 0.0)


def hidden_gradient(
    gradient: Tensor,
    hidden: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    squares: Tensor | None,
    grn_weight: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the gradients of the hidden layer before GELU, of its bias, and of GRN's weight."""
    channels, hidden_channels = weight.shape
    grn = grn_weight is not None
    grouping = _grouping(hidden, grn)

    def launch(tile: ProductTile) -> tuple[Tensor, Tensor, Tensor | None]:
        grid, row_tiles = _grid(tile, grouping, hidden_channels)
        out = torch.empty_like(hidden)
        sums = hidden.new_empty((row_tiles, hidden_channels), dtype=torch.float32)
        kernels.hidden_gradient_kernel[grid](
            gradient,
            scale,
            weight,
            hidden,
            out,
            sums,
            grouping.group_size,
            grouping.pixels,
            C=channels,
            D=hidden_channels,
            GRN=grn,
            **_options(tile),
        )
        if not grn:
            return out, sums.sum(0), None
        response_gradient = sums.view(grouping.num_groups, -1, hidden_channels).sum(1)
        weight_gradient, slope = grn_response_backward(response_gradient, squares, grn_weight, eps)
        grid, row_tiles = _grid(GRN_TILE, grouping, hidden_channels)
        sums = sums.new_empty((row_tiles, hidden_channels))
        kernels.grn_gradient_kernel[grid](
            out,
            hidden,
            grn_response(squares, grn_weight, eps),
            slope,
            sums,
            grouping.group_size,
            D=hidden_channels,
            ROWS=GRN_TILE.rows,
            COLUMNS=GRN_TILE.columns,
            num_warps=GRN_TILE.warps,
            **OPTIONS,
        )
        return out, sums.sum(0), weight_gradient

    code = (weight.dtype, gradient.dtype, channels, grn, scale is not None)
    return tune('hidden_gradient', code, hidden, _product_tiles(channels, weight.dtype), launch)


def output_weight_gradient(
    gradient: Tensor, hidden: Tensor, scale: Tensor | None, response: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the second layer's weight and bias, summed in two stages."""
    channels, hidden_channels = gradient.shape[-1], hidden.shape[-1]
    num_rows = gradient.numel() // channels
    pixels = gradient.shape[1] * gradient.shape[2]

    def launch(tile: ProductTile) -> tuple[Tensor, Tensor]:
        tiles = triton.cdiv(channels, tile.rows) * triton.cdiv(hidden_channels, tile.columns)
        most_parts = triton.cdiv(num_rows, FEWEST_ROWS_OF_A_PART)
        rows_per_part = triton.cdiv(num_rows, max(1, min(most_parts, GRADIENT_PROGRAMS // tiles)))
        parts = triton.cdiv(num_rows, rows_per_part)
        weight_partial = gradient.new_empty((parts, channels, hidden_channels), dtype=torch.float32)
        bias_partial = gradient.new_empty((parts, channels), dtype=torch.float32)
        kernels.output_weight_gradient_kernel[(tiles, parts)](
            gradient,
            scale,
            hidden,
            response,
            weight_partial,
            bias_partial,
            num_rows,
            rows_per_part,
            pixels,
            C=channels,
            D=hidden_channels,
            **_options(tile),
        )
        return weight_partial.sum(0), bias_partial.sum(0)

    code = (hidden.dtype, gradient.dtype, channels, scale is not None, response is not None)
    candidates = FLOAT32_TILES if hidden.dtype == torch.float32 else GRADIENT_TILES
    return tune('output_weight_gradient', code, hidden, candidates, launch)
