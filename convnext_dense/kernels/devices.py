"""Which devices run the kernels. Importing this module imports PyTorch's compiler."""

import logging
import os
import re
from functools import cache

import torch
from mmengine.logging import print_log

from convnext_dense.kernels.support import OLDEST_CAPABILITY, OLDEST_TRITON
from convnext_dense.toolchain import COMPILERS, has_compiler, python_header


@torch.compiler.assume_constant_result
def is_supported_device(device: torch.device) -> bool:
    """Return whether a device runs the kernels: a recent GPU, or the CPU if TRITON_INTERPRET=1 is set.

    Example:
        >>> is_supported_device(torch.device('meta'))
        False
    """
    if device.type == 'cuda':
        recent = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= OLDEST_CAPABILITY
        return recent and has_triton() and _can_build_launcher()
    return device.type == 'cpu' and os.environ.get('TRITON_INTERPRET') == '1' and has_triton()


@cache
def has_triton() -> bool:
    """Return whether a recent enough Triton is installed."""
    try:
        import triton
    except ImportError:
        return False
    version = re.match(r'(\d+)\.(\d+)', getattr(triton, '__version__', ''))
    return version is not None and tuple(map(int, version.groups())) >= OLDEST_TRITON


@cache
def _can_build_launcher() -> bool:
    """Return whether Triton can build its launcher here; if it cannot, log it once."""
    names, _, variable = COMPILERS['cuda']
    can_build = has_compiler(names, variable) and python_header().is_file()
    if not can_build:
        print_log(
            "ConvNeXt's fused kernels: Triton needs a C compiler and Python's headers (gcc, python3-dev), and this "
            'machine lacks them; the blocks run with PyTorch.',
            logger='current',
            level=logging.WARNING,
        )
    return can_build
