"""The block's two pointwise layers, what lies between and after them, and their gradients, in Triton.

Rows are pixels. They form groups, and a tile never spans two: with GRN, whose statistics are per image, a group is an
image; without it, all pixels are one group. C is the number of channels, D that of hidden channels.
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
def _output_tile(group_size, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return this program's tile of a map (rows, WIDTH): row tile, group, rows, row mask, columns and column mask.

    The grid is (row tiles * column tiles,).
    """
    column_tiles: tl.constexpr = (WIDTH + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0) // column_tiles
    columns = (tl.program_id(0) % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    tiles_per_group = tl.cdiv(group_size, ROWS)
    group = (tile // tiles_per_group).to(tl.int64)
    within = (tile % tiles_per_group) * ROWS + tl.arange(0, ROWS)
    return tile, group, group * group_size + within, within < group_size, columns, columns < WIDTH


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
    """Return a tile of rows, (., INNER), times columns of the weight. `scale`, (INNER,), multiplies each row first."""
    accumulator = tl.zeros([rows.shape[0], columns.shape[0]], tl.float32)
    for start in range(0, INNER, STEP):
        inner = start + tl.arange(0, STEP)
        exists = inner < INNER
        left = tl.load(
            rows_ptr + rows[:, None] * INNER + inner[None, :], mask=row_mask[:, None] & exists[None, :], other=0.0
        )
        if scale_ptr is not None:
            left = left.to(tl.float32) * tl.load(scale_ptr + inner, mask=exists, other=0.0)[None, :]
        right = tl.load(
            weight_ptr + inner[:, None] * INNER_STRIDE + columns[None, :] * COLUMN_STRIDE,
            mask=exists[:, None] & column_mask[None, :],
            other=0.0,
        )
        accumulator = multiply_add(rounded(left, weight_ptr.dtype.element_ty), right, accumulator, PRECISION)
    return accumulator


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
    """Compute the first layer and GELU: `hidden` = input weight^T + bias and `activated` = GELU(hidden).

    Either may be None. `squares`, (row tiles, D), gets the column sums of activated^2, for GRN.
    """
    tile, _, rows, row_mask, columns, column_mask = _output_tile(group_size, D, ROWS, COLUMNS)
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
    grn_scale_ptr,
    weight_ptr,
    bias_ptr,
    layer_scale_ptr,
    residual_ptr,
    drop_path_scale_ptr,
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
    """Compute residual + drop_path_scale * layer_scale * ((grn_scale * activated) weight^T + bias).

    `grn_scale` is (groups, D), `layer_scale` (C,), `drop_path_scale` (N,); `pixels` is the number of an image's pixels.
    """
    _, group, rows, row_mask, columns, column_mask = _output_tile(group_size, C, ROWS, COLUMNS)
    if grn_scale_ptr is not None:
        grn_scale_ptr += group * D
    out = _product(
        activated_ptr, grn_scale_ptr, weight_ptr, rows, row_mask, columns, column_mask, D, 1, D, STEP, PRECISION
    )
    out += tl.load(bias_ptr + columns, mask=column_mask, other=0.0)[None, :]
    if layer_scale_ptr is not None:
        out *= tl.load(layer_scale_ptr + columns, mask=column_mask, other=0.0)[None, :]
    if drop_path_scale_ptr is not None:
        out *= tl.load(drop_path_scale_ptr + rows // pixels, mask=row_mask, other=0.0)[:, None]
    offsets = rows[:, None] * C + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    out += tl.load(residual_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + offsets, rounded(out, out_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=['group_size', 'pixels'])
def hidden_gradient_kernel(
    grad_out_ptr,
    drop_path_scale_ptr,
    layer_scale_ptr,
    weight_ptr,
    hidden_ptr,
    grn_scale_ptr,
    grad_hidden_ptr,
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
    """Go back from the output through the second layer and, without GRN, through GELU.

    `sums`, (row tiles, D), gets column sums. Without GRN they are sums of `grad_hidden`, for the first bias's gradient.
    With GRN, whose backward pass `grn_backward_kernel` does later, they are sums of `grad_hidden` * GELU(hidden), for
    the gradient of `grn_scale`, (groups, D). `activated`, if it is not None, gets the second layer's input.
    """
    tile, group, rows, row_mask, columns, column_mask = _output_tile(group_size, D, ROWS, COLUMNS)
    grad_hidden = _product(
        grad_out_ptr, layer_scale_ptr, weight_ptr, rows, row_mask, columns, column_mask, C, D, 1, STEP, PRECISION
    )
    if drop_path_scale_ptr is not None:
        grad_hidden *= tl.load(drop_path_scale_ptr + rows // pixels, mask=row_mask, other=0.0)[:, None]
    offsets = rows[:, None] * D + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    hidden = tl.load(hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    if grn_scale_ptr is not None:
        activated = _gelu(hidden)
        sums = tl.sum(grad_hidden * activated, 0)
        if activated_ptr is not None:
            activated *= tl.load(grn_scale_ptr + group * D + columns, mask=column_mask, other=0.0)[None, :]
            tl.store(activated_ptr + offsets, rounded(activated, activated_ptr.dtype.element_ty), mask=mask)
    else:
        if activated_ptr is not None:
            tl.store(activated_ptr + offsets, rounded(_gelu(hidden), activated_ptr.dtype.element_ty), mask=mask)
        grad_hidden *= _gelu_gradient(hidden)
        sums = tl.sum(grad_hidden, 0)
    tl.store(grad_hidden_ptr + offsets, rounded(grad_hidden, grad_hidden_ptr.dtype.element_ty), mask=mask)
    tl.store(sums_ptr + tile * D + columns, sums, mask=column_mask)


@triton.jit(do_not_specialize=['group_size'])
def grn_backward_kernel(
    grad_hidden_ptr,
    hidden_ptr,
    grn_scale_ptr,
    slope_ptr,
    sums_ptr,
    group_size,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Go back through GRN and GELU, in place: (grn_scale * grad_hidden + slope * GELU(hidden)) * GELU'(hidden).

    `grn_scale` and `slope` are (groups, D). `sums`, (row tiles, D), gets the column sums of the result.
    """
    tile, group, rows, row_mask, columns, column_mask = _output_tile(group_size, D, ROWS, COLUMNS)
    offsets = rows[:, None] * D + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    gradient = tl.load(grad_hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    hidden = tl.load(hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    grn_scale = tl.load(grn_scale_ptr + group * D + columns, mask=column_mask, other=0.0)
    slope = tl.load(slope_ptr + group * D + columns, mask=column_mask, other=0.0)
    out = (gradient * grn_scale[None, :] + _gelu(hidden) * slope[None, :]) * _gelu_gradient(hidden)
    tl.store(grad_hidden_ptr + offsets, rounded(out, grad_hidden_ptr.dtype.element_ty), mask=mask)
    tl.store(sums_ptr + tile * D + columns, tl.sum(out, 0), mask=column_mask)


@triton.jit(do_not_specialize=['num_rows', 'rows_per_split', 'pixels'])
def output_weight_gradient_kernel(
    grad_out_ptr,
    drop_path_scale_ptr,
    hidden_ptr,
    grn_scale_ptr,
    activated_ptr,
    weight_partial_ptr,
    bias_partial_ptr,
    num_rows,
    rows_per_split,
    pixels,
    C: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Sum the gradients of the second layer's weight and bias over one split of the rows (split-K).

    The layer's input is `activated`, or recomputed from `hidden` if that is None. The partial sums are (splits, C, D)
    and (splits, C). The grid is (tiles of C * tiles of D, splits).
    """
    column_tiles: tl.constexpr = (D + COLUMNS - 1) // COLUMNS
    column_tile = tl.program_id(0) % column_tiles
    outs = (tl.program_id(0) // column_tiles) * ROWS + tl.arange(0, ROWS)
    columns = column_tile * COLUMNS + tl.arange(0, COLUMNS)
    out_mask = outs < C
    column_mask = columns < D
    split = tl.program_id(1).to(tl.int64)
    weight_sum = tl.zeros([ROWS, COLUMNS], tl.float32)
    bias_sum = tl.zeros([ROWS], tl.float32)
    first = split * rows_per_split
    for start in range(0, rows_per_split, STEP):
        within = start + tl.arange(0, STEP)
        rows = first + within
        row_mask = (within < rows_per_split) & (rows < num_rows)
        grad_out = tl.load(
            grad_out_ptr + rows[:, None] * C + outs[None, :], mask=row_mask[:, None] & out_mask[None, :], other=0.0
        ).to(tl.float32)
        if drop_path_scale_ptr is not None:
            grad_out *= tl.load(drop_path_scale_ptr + rows // pixels, mask=row_mask, other=0.0)[:, None]
        mask = row_mask[:, None] & column_mask[None, :]
        offsets = rows[:, None] * D + columns[None, :]
        if activated_ptr is not None:
            right = tl.load(activated_ptr + offsets, mask=mask, other=0.0)
        else:
            activated = _gelu(tl.load(hidden_ptr + offsets, mask=mask, other=0.0).to(tl.float32))
            if grn_scale_ptr is not None:
                image_offsets = (rows // pixels)[:, None] * D + columns[None, :]
                activated *= tl.load(grn_scale_ptr + image_offsets, mask=mask, other=0.0)
            right = rounded(activated, hidden_ptr.dtype.element_ty)
        left = tl.trans(rounded(grad_out, right.dtype))
        weight_sum = multiply_add(left, right, weight_sum, PRECISION)
        bias_sum += tl.sum(grad_out, 0)
    tl.store(
        weight_partial_ptr + (split * C + outs)[:, None] * D + columns[None, :],
        weight_sum,
        mask=out_mask[:, None] & column_mask[None, :],
    )
    if column_tile == 0:
        tl.store(bias_partial_ptr + split * C + outs, bias_sum, mask=out_mask)
