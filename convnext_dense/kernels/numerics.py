"""How the products of float32 are rounded."""

import torch


def product_precision(dtype: torch.dtype) -> str:
    """Return how products are rounded, as PyTorch's are set to be: 'tf32', or exactly, 'ieee'.

    Example:
        >>> product_precision(torch.bfloat16)
        'ieee'
    """
    matmul = torch.backends.cuda.matmul
    # Once the one setting is made, PyTorch refuses to read the other; before torch 2.9 there is but `allow_tf32`.
    tf32 = matmul.fp32_precision == 'tf32' if hasattr(matmul, 'fp32_precision') else matmul.allow_tf32
    return 'tf32' if tf32 and dtype == torch.float32 else 'ieee'


def measured_as(dtype: torch.dtype) -> str:
    """Return the name by which measurements know a dtype: float32 whose products are rounded is 'tf32'.

    Example:
        >>> measured_as(torch.bfloat16)
        'bfloat16'
    """
    return 'tf32' if product_precision(dtype) == 'tf32' else str(dtype).removeprefix('torch.')
