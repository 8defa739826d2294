"""Whether the kernels can run: on which devices, and in which dtypes."""

import importlib.util
import os
from functools import cache

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Of the depthwise convolution.
KERNEL_SIZES = range(1, 12, 2)
# The first with all that the kernels are written in, tuples of tiles among it.
OLDEST_TRITON = (3, 3)
# Ampere's: the first with products in bfloat16.
OLDEST_CAPABILITY = (8, 0)


def runs_here(x: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Return whether the kernels can compute with `x`: on a GPU, or in Triton's interpreter (TRITON_INTERPRET=1).

    Args:
        x: A tensor.
        dtype: In which they would compute; by default `x`'s own.

    Example:
        >>> runs_here(torch.zeros(2, dtype=torch.float64))
        False
    """
    return x.dtype in DTYPES and (dtype or x.dtype) in DTYPES and _device_runs(x.device)


def check_input(name: str, x: Tensor, dtype: torch.dtype) -> None:
    """Raise ValueError if an operator cannot compute with `x`.

    Args:
        name: The operator's.
        x: Its input.
        dtype: Of its result.
    """
    if x.dtype not in DTYPES or dtype not in DTYPES:
        raise ValueError(f'{name}: x and the result must be float32, float16 or bfloat16; got {x.dtype} and {dtype}.')
    if x.ndim != 4:
        raise ValueError(f'{name}: x must be (N, H, W, C); got {tuple(x.shape)}.')
    if not _device_runs(x.device):
        raise ValueError(
            f'{name}: x must be on a CUDA device of compute capability 8.0 or later, with Triton '
            f'{".".join(map(str, OLDEST_TRITON))} or later installed, or TRITON_INTERPRET=1 set; got {x.device}.'
        )


@torch.compiler.assume_constant_result
def _device_runs(device: torch.device) -> bool:
    if device.type == 'cuda':
        recent = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= OLDEST_CAPABILITY
        return recent and has_triton()
    return device.type == 'cpu' and os.environ.get('TRITON_INTERPRET') == '1' and has_triton()


@cache
def has_triton() -> bool:
    """Return whether there is a Triton that the kernels can be written in."""
    if importlib.util.find_spec('triton') is None:
        return False
    import triton

    return tuple(int(part) for part in triton.__version__.split('.')[:2]) >= OLDEST_TRITON
