"""Whether the kernels can run: on which devices, and in which dtypes."""

import logging
import os
import re
from functools import cache

import torch
from mmengine.logging import print_log
from torch import Tensor

from convnext_dense.toolchain import COMPILERS, has_compiler, python_header

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
        return recent and has_triton() and _can_build()
    return device.type == 'cpu' and os.environ.get('TRITON_INTERPRET') == '1' and has_triton()


@cache
def has_triton() -> bool:
    """Return whether there is a Triton that the kernels can be written in."""
    try:
        import triton
    except ImportError:
        return False
    version = re.match(r'(\d+)\.(\d+)', getattr(triton, '__version__', ''))
    return version is not None and tuple(map(int, version.groups())) >= OLDEST_TRITON


@cache
def _can_build() -> bool:
    """Return whether there is what Triton builds its launcher by; say so once if not."""
    names, _, variable = COMPILERS['cuda']
    built = has_compiler(names, variable) and python_header().is_file()
    if not built:
        print_log(
            "ConvNeXt's fused kernels: Triton needs a C compiler and Python's headers (gcc, python3-dev), and this "
            'machine lacks them; the blocks run by PyTorch.',
            logger='current',
            level=logging.WARNING,
        )
    return built
