"""Bilinear sampling as mmcv's kernels of RoIs do it: clamped to the border pixels' centers, and zero a pixel beyond."""

from typing import NamedTuple

import torch
from torch import Tensor


class Samples(NamedTuple):
    """Where samples lie in a map of height H and width W, and what the pixels around them weigh.

    Args:
        place: (4, ...), the positions ``y * W + x`` of the pixels around: top left, top right, bottom left, bottom
            right.
        weight: (4, ...), their weights; 0 for samples that are not `inside`.
        inside: (...), whether the sample is at most a pixel outside of the map.
    """

    place: Tensor
    weight: Tensor
    inside: Tensor


def samples_at(y: Tensor, x: Tensor, height: int, width: int) -> Samples:
    """Return the samples at positions in pixels, both (...), of a map of this size.

    Example:
        >>> samples_at(torch.tensor(0.25), torch.tensor(1.0), height=2, width=3).weight.tolist()
        [0.75, 0.0, 0.25, 0.0]
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    (top, bottom, down), (left, right, across) = _around(y, height), _around(x, width)
    place = torch.stack([top * width + left, top * width + right, bottom * width + left, bottom * width + right])
    weight = torch.stack([(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across])
    return Samples(place, torch.where(inside, weight, 0), inside)


def bin_positions(start: Tensor, size: float, bins: int, samples: int) -> Tensor:
    """Return the positions of the samples in each bin, (..., bins, samples), evenly spaced.

    Args:
        start: (..., 1) or (..., bins), where the first bin begins, or where it would begin for each bin.
        size: The size of a bin.
        bins: The number of bins.
        samples: The number of samples in a bin.

    Example:
        >>> bin_positions(torch.tensor([1.0]), size=2.0, bins=2, samples=2).tolist()
        [[1.5, 2.5], [3.5, 4.5]]
    """
    steps, sub_steps = (torch.arange(count, dtype=start.dtype, device=start.device) for count in (bins, samples))
    bin_start = start + steps * size
    within = (sub_steps + 0.5) * size / max(samples, 1)
    return bin_start[..., None] + within


def _around(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pixels before and after a position, and its distance from the first."""
    position = position.clamp(0, size - 1)
    before = position.long()
    return before, (before + 1).clamp(max=size - 1), position - before
