"""Launches the kernels of the block's pointwise layers. Maps are (N, H, W, C) or (N, H, W, D), contiguous."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from convnext_dense.kernels.autotune import tune
from convnext_dense.kernels.numerics import COMPILE_OPTIONS, product_precision
from convnext_dense.kernels.pointwise_mlp import triton_kernels as kernels
from convnext_dense.kernels.pointwise_mlp.grn import Grn, grn_backward

# Up to this many channels, recompute GELU in every tile of the weight gradient. Above it, store GELU's output once.
MAX_CHANNELS_RECOMPUTED = 256
# The weight gradient's split-K: enough programs to fill any GPU several times, but at least so many rows each.
GRADIENT_PROGRAMS = 512
MIN_ROWS_PER_SPLIT = 512


class ProductTile(NamedTuple):
    """What a program of a matrix product computes: rows, columns, step along the sum, warps, and pipeline stages."""

    rows: int
    columns: int
    step: int
    warps: int
    stages: int


FLOAT32_TILES = [ProductTile(64, 64, 32, 8, 1), ProductTile(32, 64, 32, 4, 1)]
# Of the weight gradient, whose sum runs over rows.
WEIGHT_GRADIENT_TILES = [ProductTile(64, 128, 32, 4, 3), ProductTile(128, 128, 32, 8, 3), ProductTile(64, 64, 64, 4, 3)]
# Of GRN's backward pass, which has no product.
GRN_TILE = ProductTile(rows=64, columns=64, step=0, warps=4, stages=1)


class Grouping(NamedTuple):
    """How rows form groups: with GRN a group is an image; without it, all rows are one group."""

    group_size: int
    num_groups: int
    pixels_per_image: int


def _product_tiles(inner: int, dtype: torch.dtype) -> list[ProductTile]:
    """Return the tiles worth trying, the largest first. Their shared memory fits every GPU since Ampere."""
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
        **COMPILE_OPTIONS,
    )


def _grid(tile: ProductTile, grouping: Grouping, columns: int) -> tuple[tuple[int], int]:
    """Return the grid of a product, and how many row tiles a group has."""
    tiles = triton.cdiv(grouping.group_size, tile.rows)
    return (grouping.num_groups * tiles * triton.cdiv(columns, tile.columns),), tiles


def hidden_layer(
    x: Tensor, weight: Tensor, bias: Tensor, grn: bool, keep_hidden: bool, activate: bool = True
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return ``(hidden, activated, squares)``: the hidden layer before and after GELU, and GRN's sums of squares.

    Args:
        x: (N, H, W, C).
        weight: (D, C).
        bias: (D,).
        grn: Whether to return the sums of squares of each image's activated channels, (N, D).
        keep_hidden: Whether to return `hidden`.
        activate: Whether to return `activated` and `squares`.
    """
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
    grn_scale: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    layer_scale: Tensor | None,
    residual: Tensor,
    drop_path_scale: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    """Return residual + drop_path_scale * layer_scale * ((grn_scale * activated) weight^T + bias), in `dtype`."""
    channels, hidden_channels = weight.shape
    grouping = _grouping(activated, grn_scale is not None)

    def launch(tile: ProductTile) -> Tensor:
        grid, _ = _grid(tile, grouping, channels)
        out = torch.empty_like(residual, dtype=dtype)
        kernels.output_kernel[grid](
            activated,
            grn_scale,
            weight,
            bias,
            layer_scale,
            residual,
            drop_path_scale,
            out,
            grouping.group_size,
            grouping.pixels_per_image,
            C=channels,
            D=hidden_channels,
            **_options(tile, weight.dtype),
        )
        return out

    given = tuple(scale is not None for scale in (grn_scale, layer_scale, drop_path_scale))
    code = (weight.dtype, product_precision(weight.dtype), residual.dtype, dtype, channels, *given)
    return tune('output_layer', code, activated, _product_tiles(hidden_channels, weight.dtype), launch)


def hidden_gradient(
    grad_out: Tensor,
    hidden: Tensor,
    weight: Tensor,
    drop_path_scale: Tensor | None,
    layer_scale: Tensor | None,
    grn: Grn | None,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return ``(grad_hidden, grad_bias, grad_grn_weight, activated)``.

    The first two are the gradients of the hidden layer before GELU and of its bias. `activated`, the second layer's
    input, is None up to `MAX_CHANNELS_RECOMPUTED` channels. Above, it is kept so that the weight gradient need not
    recompute GELU.
    """
    channels, hidden_channels = weight.shape
    grouping = _grouping(hidden, grn is not None)
    keep_activated = channels > MAX_CHANNELS_RECOMPUTED

    def launch(tile: ProductTile) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        grid, tiles = _grid(tile, grouping, hidden_channels)
        grad_hidden = torch.empty_like(hidden)
        activated = torch.empty_like(hidden) if keep_activated else None
        sums = hidden.new_empty((grouping.num_groups, tiles, hidden_channels), dtype=torch.float32)
        kernels.hidden_gradient_kernel[grid](
            grad_out,
            drop_path_scale,
            layer_scale,
            weight,
            hidden,
            None if grn is None else grn.scale,
            grad_hidden,
            activated,
            sums,
            grouping.group_size,
            grouping.pixels_per_image,
            C=channels,
            D=hidden_channels,
            **_options(tile, weight.dtype),
        )
        if grn is None:
            return grad_hidden, sums.sum((0, 1)), None, activated
        grad_grn_weight, slope = grn_backward(sums.sum(1), grn)
        grad_bias = _grn_backward_in_place(grad_hidden, hidden, grn.scale, slope, grouping)
        return grad_hidden, grad_bias, grad_grn_weight, activated

    given = tuple(optional is not None for optional in (grn, drop_path_scale, layer_scale))
    code = (weight.dtype, product_precision(weight.dtype), grad_out.dtype, channels, *given)
    # The smallest tile first: the epilogue of the largest one spills.
    return tune('hidden_gradient', code, hidden, _product_tiles(channels, weight.dtype)[::-1], launch)


def _grn_backward_in_place(
    grad_hidden: Tensor, hidden: Tensor, grn_scale: Tensor, slope: Tensor, grouping: Grouping
) -> Tensor:
    """Take `grad_hidden` back through GRN and GELU, in place; return the first bias's gradient."""
    hidden_channels = hidden.shape[-1]
    grid, tiles = _grid(GRN_TILE, grouping, hidden_channels)
    sums = grn_scale.new_empty((grouping.num_groups, tiles, hidden_channels))
    kernels.grn_backward_kernel[grid](
        grad_hidden,
        hidden,
        grn_scale,
        slope,
        sums,
        grouping.group_size,
        D=hidden_channels,
        ROWS=GRN_TILE.rows,
        COLUMNS=GRN_TILE.columns,
        num_warps=GRN_TILE.warps,
        **COMPILE_OPTIONS,
    )
    return sums.sum((0, 1))


def output_weight_gradient(
    grad_out: Tensor,
    hidden: Tensor | None,
    drop_path_scale: Tensor | None,
    grn_scale: Tensor | None,
    activated: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the second layer's weight and bias, summed in two stages (split-K).

    The layer's input is `activated`, or recomputed from `hidden` and `grn_scale` if `activated` is None.
    """
    source = hidden if activated is None else activated
    channels, hidden_channels = grad_out.shape[-1], source.shape[-1]
    num_rows = grad_out.numel() // channels
    pixels_per_image = grad_out.shape[1] * grad_out.shape[2]

    def launch(tile: ProductTile) -> tuple[Tensor, Tensor]:
        tiles = triton.cdiv(channels, tile.rows) * triton.cdiv(hidden_channels, tile.columns)
        max_splits = max(1, min(triton.cdiv(num_rows, MIN_ROWS_PER_SPLIT), GRADIENT_PROGRAMS // tiles))
        rows_per_split = max(1, triton.cdiv(num_rows, max_splits))
        splits = triton.cdiv(num_rows, rows_per_split)
        weight_partial = grad_out.new_empty((splits, channels, hidden_channels), dtype=torch.float32)
        bias_partial = grad_out.new_empty((splits, channels), dtype=torch.float32)
        kernels.output_weight_gradient_kernel[(tiles, splits)](
            grad_out,
            drop_path_scale,
            hidden,
            grn_scale,
            activated,
            weight_partial,
            bias_partial,
            num_rows,
            rows_per_split,
            pixels_per_image,
            C=channels,
            D=hidden_channels,
            **_options(tile, source.dtype),
        )
        return weight_partial.sum(0), bias_partial.sum(0)

    given = tuple(optional is not None for optional in (drop_path_scale, grn_scale, activated))
    code = (source.dtype, product_precision(source.dtype), grad_out.dtype, channels, *given)
    tiles = FLOAT32_TILES if source.dtype == torch.float32 else WEIGHT_GRADIENT_TILES
    return tune('output_weight_gradient', code, source, tiles, launch)
