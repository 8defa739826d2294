"""Chooses between the kernels and PyTorch."""

import json
import math
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from convnext_dense.kernels.numerics import measured_as
from convnext_dense.kernels.support import runs_here

CHOICES = ('auto', 'triton', 'torch')
# A measurement says nothing of maps of more than so many times its pixels, or of fewer.
REACH = 4
# What `tools/benchmark_kernels.py --record` measured: a list of entries with these keys, `pixels` and `speedup`.
MEASUREMENTS = Path(__file__).with_name('measurements.json')
CONDITIONS = ('gpu', 'dtype', 'channels', 'grn', 'training', 'compiled')


def use_kernels(choice: str, x: Tensor, dtype: torch.dtype, channels: int, grn: bool) -> bool:
    """Return whether a block runs by the kernels.

    Args:
        choice: 'torch' never does; 'triton' does wherever the kernels can run; 'auto' where, beside, they were measured
            to be faster on this GPU, for this dtype and number of channels, and of the numbers of pixels measured for
            the nearest, which is at most `REACH` times as many or as few. What is compiled is so for all sizes, and
            goes by the largest that was measured.
        x: The block's input, (N, C, H, W).
        dtype: In which the block computes.
        channels: C.
        grn: Whether the block has a GRN.

    Example:
        >>> use_kernels('torch', torch.zeros(1, 96, 8, 8), torch.float32, 96, grn=False)
        False
    """
    if choice == 'torch':
        return False
    if choice == 'auto':
        compiling = torch.compiler.is_compiling()
        # A number of pixels would have the compiler make code for it alone.
        pixels = None if compiling else x.shape[0] * x.shape[2] * x.shape[3]
        if not _measured_faster(x.device, dtype, channels, grn, torch.is_grad_enabled(), compiling, pixels):
            return False
    return runs_here(x, dtype)


@torch.compiler.assume_constant_result
def _measured_faster(
    device: torch.device,
    dtype: torch.dtype,
    channels: int,
    grn: bool,
    training: bool,
    compiled: bool,
    pixels: int | None,
) -> bool:
    if device.type != 'cuda' or not _measurements():
        return False
    gpu = torch.cuda.get_device_name(device)
    speedups = _measurements().get((gpu, measured_as(dtype), channels, grn, training, compiled))
    if not speedups:
        return False
    if pixels is None:
        return speedups[max(speedups)] > 1
    distances = {measured: abs(math.log(measured / max(pixels, 1))) for measured in speedups}
    nearest = min(distances, key=distances.get)
    return distances[nearest] <= math.log(REACH) and speedups[nearest] > 1


@cache
def _measurements() -> dict[tuple, dict[int, float]]:
    """Return speedups by the number of pixels, by all else that they depend on."""
    found: dict[tuple, dict[int, float]] = {}
    for each in json.loads(MEASUREMENTS.read_text()):
        found.setdefault(tuple(each[key] for key in CONDITIONS), {})[each['pixels']] = each['speedup']
    return found
