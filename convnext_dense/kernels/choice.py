"""Chooses between the kernels and PyTorch."""

import json
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from convnext_dense.kernels.availability import runs_here

CHOICES = ('auto', 'triton', 'torch')
# What `tools/benchmark_kernels.py --record` measured: a list of entries with the keys that `_speedups` looks up.
MEASUREMENTS = Path(__file__).with_name('measurements.json')


def use_kernels(choice: str, x: Tensor, dtype: torch.dtype, grn: bool) -> bool:
    """Return whether a block runs by the kernels.

    Args:
        choice: 'torch' never does; 'triton' does wherever the kernels can run; 'auto' where, beside, a measurement on
            this GPU, for this dtype and number of channels and the nearest number of pixels, found them faster.
        x: The block's input, (N, C, H, W).
        dtype: In which the block computes.
        grn: Whether the block has a GRN.

    Example:
        >>> use_kernels('torch', torch.zeros(1, 96, 8, 8), torch.float32, grn=False)
        False
    """
    if choice == 'torch' or not runs_here(x, dtype):
        return False
    return choice == 'triton' or _measured_faster(x, dtype, grn)


def _measured_faster(x: Tensor, dtype: torch.dtype, grn: bool) -> bool:
    compiling = torch.compiler.is_compiling()
    speedups = _speedups(x.device, dtype, x.shape[1], grn, torch.is_grad_enabled(), compiling)
    if not speedups:
        return False
    if compiling:
        # Compiled once for images of all sizes: a choice by size would compile for each.
        return speedups[max(speedups)] > 1
    pixels = x.shape[0] * x.shape[2] * x.shape[3]
    return speedups[min(speedups, key=lambda measured: abs(measured - pixels))] > 1


@torch.compiler.assume_constant_result
def _speedups(
    device: torch.device, dtype: torch.dtype, channels: int, grn: bool, training: bool, compiled: bool
) -> dict[int, float]:
    """Return how many times as fast as PyTorch the kernels were, by the number of pixels."""
    if device.type != 'cuda':
        return {}
    asked = dict(
        gpu=torch.cuda.get_device_name(device),
        dtype=str(dtype).removeprefix('torch.'),
        channels=channels,
        grn=grn,
        training=training,
        compiled=compiled,
    )
    return {
        each['pixels']: each['speedup']
        for each in _measurements()
        if all(each[key] == value for key, value in asked.items())
    }


@cache
def _measurements() -> list[dict]:
    return json.loads(MEASUREMENTS.read_text())
