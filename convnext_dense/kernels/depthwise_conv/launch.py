"""Launches the kernels of the depthwise convolution and the LayerNorm after it. Maps are (N, H, W, C), contiguous."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from convnext_dense.kernels.depthwise_conv import triton_kernels as kernels
from convnext_dense.kernels.launching import OPTIONS, tune

# Of more channels, a program of the convolution has a block, and LayerNorm is a pass of its own.
MOST_FUSED_CHANNELS = 1024
BLOCKS = (128, 64, 32)
GRADIENT_CHANNELS = 32
# Enough programs to fill any GPU several times.
GRADIENT_PROGRAMS = 2048
# Elements of a tile of the passes that go over each pixel once.
PASS_ELEMENTS = 4096
# Of a tile, in a thread: as many accumulators as leave room for the taps.
ACCUMULATORS_PER_THREAD = 32

# A kernel that reads a plain map, not a gradient through LayerNorm, has no such map, 1 / deviation, shift and slope.
NO_NORM = (None, None, None, None)


class ConvTile(NamedTuple):
    """What a program of the convolution has: rows, columns and channels, and the warps that share it."""

    rows: int
    columns: int
    channels: int
    warps: int


class NormGradient(NamedTuple):
    """How LayerNorm's gradient reaches the convolution's, and the tiles of that.

    `on_read`: as each of its kernels reads the gradient, with no map between; else in a pass before.
    """

    on_read: bool
    tile: ConvTile


def _conv_tiles(block: int) -> list[ConvTile]:
    """Return the tiles worth trying for a block of channels: more rows share what they read, fewer fill more GPUs."""
    if block < 128:
        shapes = [(4, 16), (4, 8), (2, 16)]
    else:
        shapes = [(4, 8), (4, 4), (2, 8)] if block < 512 else [(4, 4), (2, 4), (1, 8)]
    tiles = []
    for rows, columns in shapes:
        warps = max(1, min(16, rows * columns * block // (32 * ACCUMULATORS_PER_THREAD)))
        tiles.append(ConvTile(rows, columns, block, warps))
    return tiles


def _block_of(channels: int) -> int:
    """Return how many channels a program has where it need not have all: where it can be, a divisor."""
    fitting = [block for block in BLOCKS if channels % block == 0]
    return fitting[0] if fitting else min(BLOCKS[0], triton.next_power_of_2(channels))


def _taps(weight: Tensor, flipped: bool = False) -> Tensor:
    """Lay (C, 1, K, K) out as (K * K, C)."""
    taps = weight.detach().flatten(1).t()
    return (taps.flip(0) if flipped else taps).contiguous()


def _convolve(
    tile: ConvTile,
    source: Tensor,
    through_norm: tuple[Tensor | None, ...],
    taps: Tensor,
    bias: Tensor | None,
    kernel_size: int,
    dtype: torch.dtype,
    eps: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    images, height, width, channels = source.shape
    out = torch.empty_like(source, dtype=dtype)
    rstd = source.new_empty(source.shape[:3], dtype=torch.float32) if eps is not None else None
    grid = (
        triton.cdiv(width, tile.columns) * triton.cdiv(channels, tile.channels),
        triton.cdiv(height, tile.rows),
        images,
    )
    kernels.convolve_kernel[grid](
        source,
        *through_norm,
        taps,
        bias,
        out,
        rstd,
        height,
        width,
        0.0 if eps is None else eps,
        C=channels,
        KERNEL=kernel_size,
        NORMALIZE=eps is not None,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        CHANNELS=tile.channels,
        num_warps=tile.warps,
        **OPTIONS,
    )
    return out, rstd


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return the convolution of `x`, without a norm."""
    taps, kernel_size = _taps(weight), weight.shape[-1]
    return tune(
        'depthwise_conv',
        (x.dtype, dtype, x.shape[-1], kernel_size),
        x,
        _conv_tiles(_block_of(x.shape[-1])),
        lambda tile: _convolve(tile, x, NO_NORM, taps, bias, kernel_size, dtype)[0],
    )


def convolve_and_normalize(
    x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the convolution of `x` normalised over the channels, and 1 / deviation of each pixel, (N, H, W)."""
    channels, kernel_size = x.shape[-1], weight.shape[-1]
    if channels > MOST_FUSED_CHANNELS:
        return _normalize(convolve(x, weight, bias, dtype), eps)
    taps = _taps(weight)
    return tune(
        'depthwise_conv_norm',
        (x.dtype, dtype, channels, kernel_size),
        x,
        _conv_tiles(triton.next_power_of_2(channels)),
        lambda tile: _convolve(tile, x, NO_NORM, taps, bias, kernel_size, dtype, eps),
    )


def convolve_backward(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `convolve`'s input, weight and bias."""
    return tune(
        'depthwise_conv_backward',
        (x.dtype, gradient.dtype, x.shape[-1], weight.shape[-1]),
        x,
        _conv_tiles(_block_of(x.shape[-1])),
        lambda tile: _gradients(tile, gradient, NO_NORM, x, weight),
    )


def convolve_and_normalize_backward(
    gradient: Tensor,
    normed: Tensor,
    rstd: Tensor,
    x: Tensor,
    weight: Tensor,
    ways: tuple[bool, ...] = (True, False),
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `convolve_and_normalize`'s input, weight and bias.

    `ways` are the values of `NormGradient.on_read` to choose from.
    """
    channels = x.shape[-1]
    candidates = [NormGradient(on_read, tile) for tile in _conv_tiles(_block_of(channels)) for on_read in ways]

    def launch(candidate: NormGradient) -> tuple[Tensor, Tensor, Tensor]:
        if candidate.on_read:
            through_norm = (normed, rstd, *_norm_gradient_terms(gradient, normed, rstd))
            return _gradients(candidate.tile, gradient, through_norm, x, weight)
        return _gradients(candidate.tile, _norm_gradient(gradient, normed, rstd), NO_NORM, x, weight)

    code = (x.dtype, gradient.dtype, channels, weight.shape[-1], ways)
    return tune('depthwise_conv_norm_backward', code, x, candidates, launch)


def _gradients(
    tile: ConvTile, source: Tensor, through_norm: tuple[Tensor | None, ...], x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    taps, kernel_size = _taps(weight, flipped=True), weight.shape[-1]
    input_gradient, _ = _convolve(tile, source, through_norm, taps, None, kernel_size, x.dtype)
    return input_gradient, *_weight_gradient(source, through_norm, x, weight)


def _weight_gradient(
    source: Tensor, through_norm: tuple[Tensor | None, ...], x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum over the pixels in two stages, in an order that depends on the shapes alone."""
    images, height, width, channels = x.shape
    kernel_size = weight.shape[-1]
    rows, columns = 4, 16
    blocks = triton.cdiv(channels, GRADIENT_CHANNELS)
    tiles = images * triton.cdiv(height, rows) * triton.cdiv(width, columns)
    parts = max(1, min(tiles, GRADIENT_PROGRAMS // (blocks * kernel_size)))
    partial = x.new_empty((parts, kernel_size**2 + 1, channels), dtype=torch.float32)
    kernels.weight_gradient_kernel[(blocks, kernel_size, parts)](
        x,
        source,
        *through_norm,
        partial,
        images,
        height,
        width,
        C=channels,
        KERNEL=kernel_size,
        ROWS=rows,
        COLUMNS=columns,
        CHANNELS=GRADIENT_CHANNELS,
        num_warps=4,
        **OPTIONS,
    )
    taps, bias = partial[:, :-1].sum(0), partial[:, -1].sum(0)
    return taps.t().contiguous().view(weight.shape).to(weight.dtype), bias.to(weight.dtype)


def _normalize(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    out, rstd = torch.empty_like(x), x.new_empty(x.shape[:3], dtype=torch.float32)
    grid, tile = _pass_over_pixels(x)
    kernels.normalize_kernel[grid](x, out, rstd, rstd.numel(), eps, **tile)
    return out, rstd


def _norm_gradient(gradient: Tensor, normed: Tensor, rstd: Tensor) -> Tensor:
    out = torch.empty_like(gradient)
    grid, tile = _pass_over_pixels(gradient)
    kernels.normalize_gradient_kernel[grid](gradient, normed, rstd, out, None, None, rstd.numel(), **tile)
    return out


def _norm_gradient_terms(gradient: Tensor, normed: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
    shift, slope = torch.empty_like(rstd), torch.empty_like(rstd)
    grid, tile = _pass_over_pixels(gradient)
    kernels.normalize_gradient_kernel[grid](gradient, normed, rstd, None, shift, slope, rstd.numel(), **tile)
    return shift, slope


def _pass_over_pixels(x: Tensor) -> tuple[tuple[int], dict]:
    """Return the grid, and the arguments that a kernel takes, of a pass over the pixels with all channels at once."""
    channels = x.shape[-1]
    block = triton.next_power_of_2(channels)
    pixels = max(1, PASS_ELEMENTS // block)
    grid = (triton.cdiv(x.numel() // channels, pixels),)
    return grid, dict(C=channels, PIXELS=pixels, CHANNELS=block, num_warps=4, **OPTIONS)
