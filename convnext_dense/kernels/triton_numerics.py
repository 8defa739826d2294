"""Rounding and matrix products that give the same results on a GPU and in Triton's interpreter."""

import os

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(os.environ.get('TRITON_INTERPRET') == '1')


@triton.jit
def rounded(x, dtype: tl.constexpr):
    """Convert to `dtype`, rounding to nearest, ties to even."""
    if INTERPRETED and dtype == tl.bfloat16 and x.dtype == tl.float32:
        # The interpreter truncates instead.
        bits = x.to(tl.int32, bitcast=True)
        x = (bits + 0x7FFF + ((bits >> 16) & 1)).to(tl.float32, bitcast=True)
    return x.to(dtype)


@triton.jit
def multiply_add(left, right, accumulator, PRECISION: tl.constexpr):
    """Return accumulator + left @ right, in float32."""
    if INTERPRETED:
        # The interpreter stores bfloat16 as integers. The products are the same in float32.
        left, right = left.to(tl.float32), right.to(tl.float32)
    return tl.dot(left, right, accumulator, input_precision=PRECISION)
