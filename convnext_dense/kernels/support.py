"""What the kernels can compute: devices, dtypes and sizes."""

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Sizes of the depthwise convolution's kernel.
KERNEL_SIZES = range(1, 12, 2)
# The first Triton with every language feature that the kernels use; tuples of tiles are the newest.
OLDEST_TRITON = (3, 3)
# Ampere, the first with matrix products in bfloat16.
OLDEST_CAPABILITY = (8, 0)


def is_supported(x: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Return whether the kernels can compute with `x`: on a GPU, or in Triton's interpreter (TRITON_INTERPRET=1).

    Args:
        x: A tensor.
        dtype: The dtype to compute in. Defaults to `x`'s.

    Example:
        >>> is_supported(torch.zeros(2, dtype=torch.float64))
        False
    """
    return x.dtype in DTYPES and (dtype or x.dtype) in DTYPES and _is_supported_device(x.device)


def check_input(name: str, x: Tensor, dtype: torch.dtype) -> None:
    """Raise ValueError if an operator cannot compute with `x`.

    Args:
        name: The operator's name.
        x: Its input.
        dtype: Its result's dtype.
    """
    if x.dtype not in DTYPES or dtype not in DTYPES:
        raise ValueError(f'{name}: x and the result must be float32, float16 or bfloat16; got {x.dtype} and {dtype}.')
    if x.ndim != 4:
        raise ValueError(f'{name}: x must be (N, H, W, C); got {tuple(x.shape)}.')
    if not _is_supported_device(x.device):
        raise ValueError(
            f'{name}: x must be on a CUDA device of compute capability 8.0 or later, with Triton '
            f'{".".join(map(str, OLDEST_TRITON))} or later installed, or TRITON_INTERPRET=1 set; got {x.device}.'
        )


def _is_supported_device(device: torch.device) -> bool:
    # Here, since the module imports PyTorch's compiler, which takes a second.
    from convnext_dense.kernels.devices import is_supported_device

    return is_supported_device(device)
