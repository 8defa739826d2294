"""The block's two pointwise layers with all that lies between and after them, in Triton.

Rows are pixels. They come in groups, of which no tile of rows has two: with GRN a group is an image, for its
statistics are an image's; without it all pixels are one group. C is the number of channels, D that of the hidden
layer.
"""

import triton
import triton.language as tl

from convnext_dense.kernels.triton_numerics import multiply_add, rounded


@triton.jit
def _gelu(x):
    return 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))


@triton.jit
def _gelu_gradient(x):
    return 0.5 * (1.0 + tl.erf(x * 0.7071067811865476)) + x * tl.exp(-0.5 * x * x) * 0.3989422804014327


@triton.jit
def _rows_of(tile, group_size, ROWS: tl.constexpr):
    """Return a tile's group, its rows among all, and which of them there are."""
    tiles_per_group = tl.cdiv(group_size, ROWS)
    group = (tile // tiles_per_group).to(tl.int64)
    within = (tile % tiles_per_group) * ROWS + tl.arange(0, ROWS)
    return group, group * group_size + within, within < group_size


@triton.jit
def _product(
    rows_ptr,
    scale_ptr,
    weight_ptr,
    rows,
    row_mask,
    columns,
    column_mask,
    INNER: tl.constexpr,
    INNER_STRIDE: tl.constexpr,
    COLUMN_STRIDE: tl.constexpr,
    STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Multiply a tile of rows, (., INNER), each scaled by `scale`, (INNER,), by columns of the weight."""
    total = tl.zeros([rows.shape[0], columns.shape[0]], tl.float32)
    for start in range(0, INNER, STEP):
        inner = start + tl.arange(0, STEP)
        there = inner < INNER
        left = tl.load(
            rows_ptr + rows[:, None] * INNER + inner[None, :], mask=row_mask[:, None] & there[None, :], other=0.0
        )
        if scale_ptr is not None:
            left = left.to(tl.float32) * tl.load(scale_ptr + inner, mask=there, other=0.0)[None, :]
        right = tl.load(
            weight_ptr + inner[:, None] * INNER_STRIDE + columns[None, :] * COLUMN_STRIDE,
            mask=there[:, None] & column_mask[None, :],
            other=0.0,
        )
        total = multiply_add(rounded(left, weight_ptr.dtype.element_ty), right, total, PRECISION)
    return total


@triton.jit(do_not_specialize=['group_size'])
def hidden_kernel(
    input_ptr,
    weight_ptr,
    bias_ptr,
    hidden_ptr,
    activated_ptr,
    squares_ptr,
    group_size,
    C: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The first layer and GELU: `hidden` = input weight^T + bias, `activated` = GELU of it, each where it is wanted.

    `squares`, (row tiles, D), gets the sums of the squares of what is activated, for GRN. The grid is
    (row tiles * column tiles,).
    """
    column_tiles: tl.constexpr = (D + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0) // column_tiles
    columns = (tl.program_id(0) % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    column_mask = columns < D
    _, rows, row_mask = _rows_of(tile, group_size, ROWS)
    hidden = _product(input_ptr, None, weight_ptr, rows, row_mask, columns, column_mask, C, 1, C, STEP, PRECISION)
    hidden += tl.load(bias_ptr + columns, mask=column_mask, other=0.0)[None, :]
    offsets = rows[:, None] * D + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    if hidden_ptr is not None:
        tl.store(hidden_ptr + offsets, rounded(hidden, hidden_ptr.dtype.element_ty), mask=mask)
    if activated_ptr is not None:
        activated = _gelu(hidden)
        tl.store(activated_ptr + offsets, rounded(activated, activated_ptr.dtype.element_ty), mask=mask)
        if squares_ptr is not None:
            squares = tl.sum(tl.where(mask, activated * activated, 0.0), 0)
            tl.store(squares_ptr + tile * D + columns, squares, mask=column_mask)


@triton.jit(do_not_specialize=['group_size', 'pixels'])
def output_kernel(
    activated_ptr,
    response_ptr,
    weight_ptr,
    bias_ptr,
    gain_ptr,
    residual_ptr,
    scale_ptr,
    out_ptr,
    group_size,
    pixels,
    C: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The second layer, and the residual: residual + scale * gain * ((response * activated) weight^T + bias).

    `response`, (groups, D), is GRN's; `scale`, (N,), each image's; `gain`, (C,), each channel's; `pixels` are an
    image's. The grid is (row tiles * column tiles,).
    """
    column_tiles: tl.constexpr = (C + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0) // column_tiles
    columns = (tl.program_id(0) % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    column_mask = columns < C
    group, rows, row_mask = _rows_of(tile, group_size, ROWS)
    if response_ptr is not None:
        response_ptr += group * D
    out = _product(
        activated_ptr, response_ptr, weight_ptr, rows, row_mask, columns, column_mask, D, 1, D, STEP, PRECISION
    )
    out += tl.load(bias_ptr + columns, mask=column_mask, other=0.0)[None, :]
    if gain_ptr is not None:
        out *= tl.load(gain_ptr + columns, mask=column_mask, other=0.0)[None, :]
    if scale_ptr is not None:
        out *= tl.load(scale_ptr + rows // pixels, mask=row_mask, other=0.0)[:, None]
    offsets = rows[:, None] * C + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    out += tl.load(residual_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + offsets, rounded(out, out_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=['group_size', 'pixels'])
def hidden_gradient_kernel(
    gradient_ptr,
    scale_ptr,
    gain_ptr,
    weight_ptr,
    hidden_ptr,
    response_ptr,
    out_ptr,
    activated_ptr,
    sums_ptr,
    group_size,
    pixels,
    C: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Take the output's gradient back through the second layer, and without GRN through GELU.

    `response`, (groups, D), is GRN's. `sums`, (row tiles, D), gets column sums: without GRN of `out`, which are the
    first bias's gradient, and with it of `out` times what was activated, which are the response's. `activated` gets,
    where it is wanted, what the second layer was given. The grid is (row tiles * column tiles,).
    """
    column_tiles: tl.constexpr = (D + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0) // column_tiles
    columns = (tl.program_id(0) % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    column_mask = columns < D
    group, rows, row_mask = _rows_of(tile, group_size, ROWS)
    out = _product(gradient_ptr, gain_ptr, weight_ptr, rows, row_mask, columns, column_mask, C, D, 1, STEP, PRECISION)
    if scale_ptr is not None:
        out *= tl.load(scale_ptr + rows // pixels, mask=row_mask, other=0.0)[:, None]
    offsets = rows[:, None] * D + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    hidden = tl.load(hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    if response_ptr is not None:
        activated = _gelu(hidden)
        sums = tl.sum(out * activated, 0)
        if activated_ptr is not None:
            activated *= tl.load(response_ptr + group * D + columns, mask=column_mask, other=0.0)[None, :]
            tl.store(activated_ptr + offsets, rounded(activated, activated_ptr.dtype.element_ty), mask=mask)
    else:
        if activated_ptr is not None:
            tl.store(activated_ptr + offsets, rounded(_gelu(hidden), activated_ptr.dtype.element_ty), mask=mask)
        out *= _gelu_gradient(hidden)
        sums = tl.sum(out, 0)
    tl.store(out_ptr + offsets, rounded(out, out_ptr.dtype.element_ty), mask=mask)
    tl.store(sums_ptr + tile * D + columns, sums, mask=column_mask)


@triton.jit(do_not_specialize=['group_size'])
def grn_gradient_kernel(
    gradient_ptr,
    hidden_ptr,
    response_ptr,
    slope_ptr,
    sums_ptr,
    group_size,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Take a gradient back, in place, through GRN and GELU: (response * gradient + slope * GELU(h)) * GELU'(h).

    `response` and `slope` are (groups, D); `sums`, (row tiles, D), gets column sums of the result. The grid is
    (row tiles * column tiles,).
    """
    column_tiles: tl.constexpr = (D + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0) // column_tiles
    columns = (tl.program_id(0) % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    column_mask = columns < D
    group, rows, row_mask = _rows_of(tile, group_size, ROWS)
    offsets = rows[:, None] * D + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    gradient = tl.load(gradient_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    hidden = tl.load(hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    response = tl.load(response_ptr + group * D + columns, mask=column_mask, other=0.0)
    slope = tl.load(slope_ptr + group * D + columns, mask=column_mask, other=0.0)
    out = (gradient * response[None, :] + _gelu(hidden) * slope[None, :]) * _gelu_gradient(hidden)
    tl.store(gradient_ptr + offsets, rounded(out, gradient_ptr.dtype.element_ty), mask=mask)
    tl.store(sums_ptr + tile * D + columns, tl.sum(out, 0), mask=column_mask)


@triton.jit(do_not_specialize=['num_rows', 'rows_per_part', 'pixels'])
def output_weight_gradient_kernel(
    gradient_ptr,
    scale_ptr,
    hidden_ptr,
    response_ptr,
    activated_ptr,
    weight_partial_ptr,
    bias_partial_ptr,
    num_rows,
    rows_per_part,
    pixels,
    C: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Sum the gradients of the second layer's weight and bias over a part of the rows.

    What the layer was given is `activated`, or without it computed anew from `hidden`. The partial sums are
    (parts, C, D) and (parts, C). The grid is (tiles of C * tiles of D, parts).
    """
    column_tiles: tl.constexpr = (D + COLUMNS - 1) // COLUMNS
    column_tile = tl.program_id(0) % column_tiles
    outs = (tl.program_id(0) // column_tiles) * ROWS + tl.arange(0, ROWS)
    columns = column_tile * COLUMNS + tl.arange(0, COLUMNS)
    out_mask = outs < C
    column_mask = columns < D
    part = tl.program_id(1).to(tl.int64)
    weight_sum = tl.zeros([ROWS, COLUMNS], tl.float32)
    bias_sum = tl.zeros([ROWS], tl.float32)
    first = part * rows_per_part
    for start in range(0, rows_per_part, STEP):
        within = start + tl.arange(0, STEP)
        rows = first + within
        row_mask = (within < rows_per_part) & (rows < num_rows)
        gradient = tl.load(
            gradient_ptr + rows[:, None] * C + outs[None, :], mask=row_mask[:, None] & out_mask[None, :], other=0.0
        ).to(tl.float32)
        if scale_ptr is not None:
            gradient *= tl.load(scale_ptr + rows // pixels, mask=row_mask, other=0.0)[:, None]
        mask = row_mask[:, None] & column_mask[None, :]
        offsets = rows[:, None] * D + columns[None, :]
        if activated_ptr is not None:
            right = tl.load(activated_ptr + offsets, mask=mask, other=0.0)
        else:
            activated = _gelu(tl.load(hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32))
            if response_ptr is not None:
                image_offsets = (rows // pixels)[:, None] * D + columns[None, :]
                activated *= tl.load(response_ptr + image_offsets, mask=mask, other=0.0)
            right = rounded(activated, hidden_ptr.dtype.element_ty)
        left = tl.trans(rounded(gradient, right.dtype))
        weight_sum = multiply_add(left, right, weight_sum, PRECISION)
        bias_sum += tl.sum(gradient, 0)
    tl.store(
        weight_partial_ptr + (part * C + outs)[:, None] * D + columns[None, :],
        weight_sum,
        mask=out_mask[:, None] & column_mask[None, :],
    )
    if column_tile == 0:
        tl.store(bias_partial_ptr + part * C + outs, bias_sum, mask=out_mask)
