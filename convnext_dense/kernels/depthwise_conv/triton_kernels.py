"""The depthwise convolution, LayerNorm, and the gradients of both, in Triton.

A program of the convolution computes `ROWS` rows of `COLUMNS` pixels, in all channels or in one block of them. It loops
over the columns of the filter. For each, it loads every input row that its output rows need once, and adds the row to
all of them. Accumulators and filter taps are tuples of tiles, indexed by unrolled loops, so that Triton keeps them in
registers.
"""

import triton
import triton.language as tl

from convnext_dense.kernels.triton_numerics import rounded


@triton.jit
def _norm_backward(
    grad_out, normed_ptr, rstd_ptr, shift_ptr, slope_ptr, offsets, mask, pixels, inside, present, C: tl.constexpr
):
    """Go back from a tile of gradients through LayerNorm; see `launch.NormTerms`."""
    normed = tl.load(normed_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    rstd = tl.load(rstd_ptr + pixels, mask=inside, other=0.0)
    shift = tl.load(shift_ptr + pixels, mask=inside, other=0.0)
    slope = tl.load(slope_ptr + pixels, mask=inside, other=0.0)
    return tl.where(present, rstd[:, None] * grad_out - shift[:, None] - slope[:, None] * normed, 0.0)


@triton.jit
def _normalize(value, present, eps, C: tl.constexpr):
    """Normalize (pixels, channels) over the channels; return it and each pixel's 1 / deviation."""
    mean = tl.sum(value, 1) / C
    centered = tl.where(present, value - mean[:, None], 0.0)
    rstd = tl.rsqrt(tl.sum(centered * centered, 1) / C + eps)
    return centered * rstd[:, None], rstd


@triton.jit(do_not_specialize=['height', 'width', 'eps'])
def convolve_kernel(
    source_ptr,
    normed_ptr,
    rstd_ptr,
    shift_ptr,
    slope_ptr,
    taps_ptr,
    bias_ptr,
    out_ptr,
    out_rstd_ptr,
    height,
    width,
    eps,
    C: tl.constexpr,
    KERNEL: tl.constexpr,
    NORMALIZE: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Convolve `source`, (N, H, W, C), with `taps`, (KERNEL * KERNEL, C).

    With `normed`, `source` is the gradient of a LayerNorm's output, and the kernel goes back through the LayerNorm as
    it loads it.

    The grid is (column tiles * channel blocks, row tiles, N). With NORMALIZE, which needs all channels in one block,
    `out` is normalized over the channels, without a weight and a bias, and `out_rstd` gets 1 / deviation.
    """
    PADDING: tl.constexpr = KERNEL // 2
    blocks: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    channels = ((tl.program_id(0) % blocks) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    columns = (tl.program_id(0) // blocks) * COLUMNS + tl.arange(0, COLUMNS)
    first_row = tl.program_id(1) * ROWS
    image = tl.program_id(2).to(tl.int64)
    present = channels < C

    start = tl.zeros([COLUMNS, CHANNELS], tl.float32)
    if bias_ptr is not None:
        start += tl.load(bias_ptr + channels, mask=present, other=0.0).to(tl.float32)
    sums = ()
    for _ in tl.static_range(ROWS):
        sums = sums + (start,)
    for kernel_column in range(KERNEL):
        taps = ()
        for kernel_row in tl.static_range(KERNEL):
            tap = tl.load(taps_ptr + (kernel_row * KERNEL + kernel_column) * C + channels, mask=present, other=0.0)
            taps = taps + (tap.to(tl.float32),)
        source_columns = columns + kernel_column - PADDING
        column_offsets = source_columns[:, None] * C + channels
        for offset in tl.static_range(ROWS + KERNEL - 1):
            row = first_row + offset - PADDING
            # A row outside of the map has no columns.
            end = tl.where((row >= 0) & (row < height), width, 0)
            inside = (source_columns >= 0) & (source_columns < end)
            first_pixel = (image * height + row) * width
            offsets = column_offsets + first_pixel * C
            mask = inside[:, None] & present
            value = tl.load(source_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
            if normed_ptr is not None:
                pixels = first_pixel + source_columns
                value = _norm_backward(
                    value, normed_ptr, rstd_ptr, shift_ptr, slope_ptr, offsets, mask, pixels, inside, present, C
                )
            for i in tl.static_range(ROWS):
                if offset - i >= 0 and offset - i < KERNEL:
                    sums = sums[:i] + (sums[i] + value * taps[offset - i],) + sums[i + 1 :]

    for i in tl.static_range(ROWS):
        out = sums[i]
        inside = columns < tl.where(first_row + i < height, width, 0)
        pixels = (image * height + first_row + i) * width + columns
        if NORMALIZE:
            out, rstd = _normalize(out, present, eps, C)
            tl.store(out_rstd_ptr + pixels, rstd, mask=inside)
        tl.store(
            out_ptr + pixels[:, None] * C + channels,
            rounded(out, out_ptr.dtype.element_ty),
            mask=inside[:, None] & present,
        )


@triton.jit(do_not_specialize=['images', 'height', 'width'])
def weight_gradient_kernel(
    input_ptr,
    source_ptr,
    normed_ptr,
    rstd_ptr,
    shift_ptr,
    slope_ptr,
    partial_ptr,
    images,
    height,
    width,
    C: tl.constexpr,
    KERNEL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sum the gradients of the taps and of the bias over one split of the pixels.

    The grid is (channel blocks, KERNEL, splits): a program computes one column of the filter. `partial` is
    (splits, KERNEL * KERNEL + 1, C), with the bias last. `source` is the output's gradient, read as `convolve_kernel`
    reads it.
    """
    PADDING: tl.constexpr = KERNEL // 2
    TAPS: tl.constexpr = KERNEL * KERNEL
    channels = (tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    kernel_column = tl.program_id(1)
    split = tl.program_id(2)
    present = channels < C

    zero = tl.zeros([COLUMNS, CHANNELS], tl.float32)
    bias_sum = zero
    sums = ()
    for _ in tl.static_range(KERNEL):
        sums = sums + (zero,)
    column_tiles = tl.cdiv(width, COLUMNS)
    row_tiles = tl.cdiv(height, ROWS)
    for tile in range(split, images * row_tiles * column_tiles, tl.num_programs(2)):
        columns = (tile % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
        first_row = (tile // column_tiles % row_tiles) * ROWS
        image = (tile // (column_tiles * row_tiles)).to(tl.int64)
        column_offsets = columns[:, None] * C + channels
        gradients = ()
        for i in tl.static_range(ROWS):
            inside = columns < tl.where(first_row + i < height, width, 0)
            first_pixel = (image * height + first_row + i) * width
            offsets = column_offsets + first_pixel * C
            mask = inside[:, None] & present
            gradient = tl.load(source_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
            if normed_ptr is not None:
                pixels = first_pixel + columns
                gradient = _norm_backward(
                    gradient, normed_ptr, rstd_ptr, shift_ptr, slope_ptr, offsets, mask, pixels, inside, present, C
                )
            gradients = gradients + (gradient,)
            bias_sum += gradient
        input_columns = columns + kernel_column - PADDING
        column_offsets = input_columns[:, None] * C + channels
        for offset in tl.static_range(ROWS + KERNEL - 1):
            row = first_row + offset - PADDING
            end = tl.where((row >= 0) & (row < height), width, 0)
            inside = (input_columns >= 0) & (input_columns < end)
            offsets = column_offsets + (image * height + row) * width * C
            value = tl.load(input_ptr + offsets, mask=inside[:, None] & present, other=0.0).to(tl.float32)
            for i in tl.static_range(ROWS):
                if offset - i >= 0 and offset - i < KERNEL:
                    sums = sums[: offset - i] + (sums[offset - i] + value * gradients[i],) + sums[offset - i + 1 :]

    first_tap = split * (TAPS + 1)
    for kernel_row in tl.static_range(KERNEL):
        tap = first_tap + kernel_row * KERNEL + kernel_column
        tl.store(partial_ptr + tap * C + channels, tl.sum(sums[kernel_row], 0, keep_dims=True), mask=present)
    if kernel_column == 0:
        tl.store(partial_ptr + (first_tap + TAPS) * C + channels, tl.sum(bias_sum, 0, keep_dims=True), mask=present)


@triton.jit
def _pixel_tile(num_pixels, C: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Return this program's pixels, which of them exist, and the offsets, mask and channels of the tile they form."""
    pixels = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixels < num_pixels
    channels = tl.arange(0, CHANNELS)[None, :]
    present = channels < C
    return pixels, inside, pixels[:, None] * C + channels, inside[:, None] & present, present


@triton.jit(do_not_specialize=['num_pixels', 'eps'])
def normalize_kernel(
    input_ptr, out_ptr, rstd_ptr, num_pixels, eps, C: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr
):
    """Normalize (num_pixels, C) over the channels, without a weight and a bias. The grid is (pixel tiles,)."""
    pixels, inside, offsets, mask, present = _pixel_tile(num_pixels, C, PIXELS, CHANNELS)
    value = tl.load(input_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    normed, rstd = _normalize(value, present, eps, C)
    tl.store(out_ptr + offsets, rounded(normed, out_ptr.dtype.element_ty), mask=mask)
    tl.store(rstd_ptr + pixels, rstd, mask=inside)


@triton.jit(do_not_specialize=['num_pixels'])
def norm_backward_kernel(
    grad_out_ptr,
    normed_ptr,
    rstd_ptr,
    grad_input_ptr,
    shift_ptr,
    slope_ptr,
    num_pixels,
    C: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Go back through `normalize_kernel`: the input's gradient is rstd * grad_out - shift - slope * normed.

    Without `grad_input`, write `shift` and `slope`, a value per pixel, for a kernel that computes it as it reads
    `grad_out`. The grid is (pixel tiles,).
    """
    pixels, inside, offsets, mask, _ = _pixel_tile(num_pixels, C, PIXELS, CHANNELS)
    gradient = tl.load(grad_out_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    normed = tl.load(normed_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    rstd = tl.load(rstd_ptr + pixels, mask=inside, other=0.0)
    shift = rstd * tl.sum(gradient, 1) / C
    slope = rstd * tl.sum(gradient * normed, 1) / C
    if grad_input_ptr is None:
        tl.store(shift_ptr + pixels, shift, mask=inside)
        tl.store(slope_ptr + pixels, slope, mask=inside)
    else:
        gradient = rstd[:, None] * gradient - shift[:, None] - slope[:, None] * normed
        tl.store(grad_input_ptr + offsets, rounded(gradient, grad_input_ptr.dtype.element_ty), mask=mask)
