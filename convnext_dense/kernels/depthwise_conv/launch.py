"""Launches the kernels of the depthwise convolution and the LayerNorm after it. Maps are (N, H, W, C), contiguous."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from convnext_dense.kernels.autotune import tune
from convnext_dense.kernels.depthwise_conv import triton_kernels as kernels
from convnext_dense.kernels.numerics import COMPILE_OPTIONS

# Up to this many channels, one program holds all channels of its pixels and LayerNorm is fused in. Above it, a program
# holds one block of channels and LayerNorm runs as a second kernel.
MAX_FUSED_CHANNELS = 1024
CHANNEL_BLOCK_SIZES = (128, 64, 32)
# Channels of a program of the weight gradient.
GRADIENT_CHANNELS = 32
# Programs of the weight gradient: enough to fill any GPU several times.
GRADIENT_PROGRAMS = 2048
# Elements of a tile in the kernels that read each pixel once.
PIXEL_TILE_ELEMENTS = 4096
# Accumulators per thread. More would spill: the filter taps need registers too.
ACCUMULATORS_PER_THREAD = 32


class ConvTile(NamedTuple):
    """What a program of the convolution computes, in rows, columns and channels, and how many warps share it."""

    rows: int
    columns: int
    channels: int
    warps: int


class BackwardConfig(NamedTuple):
    """How LayerNorm's gradient reaches the convolution's, and the tile of the latter.

    With `fuse_norm`, the convolution's kernels go back through LayerNorm as they read the gradient. Without it, a
    kernel of its own writes the gradient before LayerNorm first.
    """

    fuse_norm: bool
    tile: ConvTile


class NormTerms(NamedTuple):
    """What a kernel needs to go back through LayerNorm as it reads a gradient.

    The gradient is rstd * grad_out - shift - slope * normed; `normed` is a map, the others have a value per pixel.
    """

    normed: Tensor | None = None
    rstd: Tensor | None = None
    shift: Tensor | None = None
    slope: Tensor | None = None


# Passed when the kernel reads a plain map rather than a gradient through LayerNorm.
NO_NORM = NormTerms()


def _conv_tiles(block: int) -> list[ConvTile]:
    """Return the tiles worth trying for a block of channels: more rows reuse more reads, fewer rows fill more GPUs."""
    if block < 128:
        shapes = [(4, 16), (4, 8), (2, 16)]
    else:
        shapes = [(4, 8), (4, 4), (2, 8)] if block < 512 else [(4, 4), (2, 4), (1, 8)]
    tiles = []
    for rows, columns in shapes:
        warps = max(1, min(16, rows * columns * block // (32 * ACCUMULATORS_PER_THREAD)))
        tiles.append(ConvTile(rows, columns, block, warps))
    return tiles


def _channel_block(channels: int) -> int:
    """Return the channels of a program that need not hold all of them: a divisor if there is one."""
    divisors = [size for size in CHANNEL_BLOCK_SIZES if channels % size == 0]
    return divisors[0] if divisors else min(CHANNEL_BLOCK_SIZES[0], triton.next_power_of_2(channels))


def _taps(weight: Tensor, flipped: bool = False) -> Tensor:
    """Transpose (C, 1, K, K) to (K * K, C)."""
    taps = weight.detach().flatten(1).t()
    return (taps.flip(0) if flipped else taps).contiguous()


def _convolve(
    tile: ConvTile,
    source: Tensor,
    norm_terms: NormTerms,
    taps: Tensor,
    bias: Tensor | None,
    kernel_size: int,
    dtype: torch.dtype,
    eps: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return the convolution of `source`; with `eps`, normalized, and with the reciprocal standard deviations."""
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
        *norm_terms,
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
        **COMPILE_OPTIONS,
    )
    return out, rstd


def convolve_and_normalize(
    x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the convolution of `x`, normalized over the channels, and each pixel's 1 / deviation, (N, H, W)."""
    channels, kernel_size = x.shape[-1], weight.shape[-1]
    taps, code = _taps(weight), (x.dtype, dtype, channels, kernel_size)
    if channels <= MAX_FUSED_CHANNELS:
        normed, rstd = tune(
            'depthwise_conv_norm',
            code,
            x,
            _conv_tiles(triton.next_power_of_2(channels)),
            lambda tile: _convolve(tile, x, NO_NORM, taps, bias, kernel_size, dtype, eps),
        )
        assert rstd is not None
        return normed, rstd
    convolved, _ = tune(
        'depthwise_conv',
        code,
        x,
        _conv_tiles(_channel_block(channels)),
        lambda tile: _convolve(tile, x, NO_NORM, taps, bias, kernel_size, dtype),
    )
    return _normalize(convolved, eps)


def convolve_and_normalize_backward(
    grad_out: Tensor,
    normed: Tensor,
    rstd: Tensor,
    x: Tensor,
    weight: Tensor,
    fuse_norm: tuple[bool, ...] = (True, False),
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `convolve_and_normalize`'s input, weight and bias.

    `fuse_norm` holds the values of `BackwardConfig.fuse_norm` to choose from.
    """
    channels = x.shape[-1]
    candidates = [BackwardConfig(fuse, tile) for tile in _conv_tiles(_channel_block(channels)) for fuse in fuse_norm]

    def launch(config: BackwardConfig) -> tuple[Tensor, Tensor, Tensor]:
        if config.fuse_norm:
            norm_terms = NormTerms(normed, rstd, *_norm_backward_terms(grad_out, normed, rstd))
            return _convolve_backward(config.tile, grad_out, norm_terms, x, weight)
        return _convolve_backward(config.tile, _norm_backward(grad_out, normed, rstd), NO_NORM, x, weight)

    code = (x.dtype, grad_out.dtype, channels, weight.shape[-1], fuse_norm)
    return tune('depthwise_conv_norm_backward', code, x, candidates, launch)


def _convolve_backward(
    tile: ConvTile, grad_out: Tensor, norm_terms: NormTerms, x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    taps, kernel_size = _taps(weight, flipped=True), weight.shape[-1]
    grad_x, _ = _convolve(tile, grad_out, norm_terms, taps, None, kernel_size, x.dtype)
    return grad_x, *_weight_gradient(grad_out, norm_terms, x, weight)


def _weight_gradient(grad_out: Tensor, norm_terms: NormTerms, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over the pixels in two stages, in an order that depends only on the shapes."""
    images, height, width, channels = x.shape
    kernel_size = weight.shape[-1]
    rows, columns = 4, 16
    blocks = triton.cdiv(channels, GRADIENT_CHANNELS)
    tiles = images * triton.cdiv(height, rows) * triton.cdiv(width, columns)
    splits = max(1, min(tiles, GRADIENT_PROGRAMS // (blocks * kernel_size)))
    partial = x.new_empty((splits, kernel_size**2 + 1, channels), dtype=torch.float32)
    kernels.weight_gradient_kernel[(blocks, kernel_size, splits)](
        x,
        grad_out,
        *norm_terms,
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
        **COMPILE_OPTIONS,
    )
    grad_taps, grad_bias = partial[:, :-1].sum(0), partial[:, -1].sum(0)
    return grad_taps.t().contiguous().view(weight.shape).to(weight.dtype), grad_bias.to(weight.dtype)


def _normalize(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    out, rstd = torch.empty_like(x), x.new_empty(x.shape[:3], dtype=torch.float32)
    grid, options = _pixel_tiles(x)
    kernels.normalize_kernel[grid](x, out, rstd, rstd.numel(), eps, **options)
    return out, rstd


def _norm_backward(grad_out: Tensor, normed: Tensor, rstd: Tensor) -> Tensor:
    grad_x = torch.empty_like(grad_out)
    grid, options = _pixel_tiles(grad_out)
    kernels.norm_backward_kernel[grid](grad_out, normed, rstd, grad_x, None, None, rstd.numel(), **options)
    return grad_x


def _norm_backward_terms(grad_out: Tensor, normed: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
    """Return `shift` and `slope` of `NormTerms`."""
    shift, slope = torch.empty_like(rstd), torch.empty_like(rstd)
    grid, options = _pixel_tiles(grad_out)
    kernels.norm_backward_kernel[grid](grad_out, normed, rstd, None, shift, slope, rstd.numel(), **options)
    return shift, slope


def _pixel_tiles(x: Tensor) -> tuple[tuple[int], dict]:
    """Return the grid and the options of a kernel whose programs read all channels of their pixels once."""
    channels = x.shape[-1]
    block = triton.next_power_of_2(channels)
    pixels = max(1, PIXEL_TILE_ELEMENTS // block)
    grid = (triton.cdiv(x.numel() // channels, pixels),)
    return grid, dict(C=channels, PIXELS=pixels, CHANNELS=block, num_warps=4, **COMPILE_OPTIONS)
