"""How the kernels round float32."""

import torch

# Fuse a product and a sum into one instruction. Triton's default is about to change.
COMPILE_OPTIONS = dict(enable_fp_fusion=True)


def product_precision(dtype: torch.dtype) -> str:
    """Return Triton's `input_precision` for matrix products, as PyTorch is set: 'tf32' or 'ieee' (not rounded).

    Args:
        dtype: Of the factors. Only float32 can be rounded to TF32.

    Example:
        >>> product_precision(torch.bfloat16)
        'ieee'
    """
    matmul = torch.backends.cuda.matmul
    # PyTorch refuses to read `allow_tf32` once `fp32_precision` is set. Before torch 2.9, only `allow_tf32` exists.
    tf32 = matmul.fp32_precision == 'tf32' if hasattr(matmul, 'fp32_precision') else matmul.allow_tf32
    return 'tf32' if tf32 and dtype == torch.float32 else 'ieee'
