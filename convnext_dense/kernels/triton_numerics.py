"""How the kernels round and multiply, on a GPU and in Triton's interpreter alike."""

import os

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(os.environ.get('TRITON_INTERPRET') == '1')


@triton.jit
def rounded(x, dtype: tl.constexpr):
    """Convert to `dtype`, to the nearest value, and of two to the even one."""
    if INTERPRETED and dtype == tl.bfloat16 and x.dtype == tl.float32:
        # The interpreter cuts digits off.
        bits = x.to(tl.int32, bitcast=True)
        x = (bits + 0x7FFF + ((bits >> 16) & 1)).to(tl.float32, bitcast=True)
    return x.to(dtype)


@triton.jit
def multiply_add(left, right, total, PRECISION: tl.constexpr):
    """Return total + left @ right, in float32."""
    if INTERPRETED:
        # The interpreter takes bfloat16 for integers. As float32 they have the same products.
        left, right = left.to(tl.float32), right.to(tl.float32)
    return tl.dot(left, right, total, input_precision=PRECISION)
