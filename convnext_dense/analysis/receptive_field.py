"""Which pixels of an image the center of a backbone's feature map looks at."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

# A sum of 1 in floating point.
ROUNDING = 1e-9
# Of the most that a square of a side holds: what is noise between one and the next.
SAME = 0.99


class Square(NamedTuple):
    """A square of an image: its left, its top and its side in pixels."""

    left: int
    top: int
    side: int


def effective_fields(backbone: nn.Module, images: Iterable[Tensor]) -> list[np.ndarray]:
    """Return the effective receptive field of the central pixel of each of a backbone's feature maps.

    It is the gradient of the central pixel with respect to the image: its absolute value, summed over the image's
    channels, averaged over the images, and divided by its sum. The pixel's channels are summed where they are positive,
    as RepLKNet's authors do: behind LayerNorm, the sum of all channels is constant.

    Args:
        backbone: It takes images (N, C, H, W) and returns maps (N, channels, h, w). Its parameters are frozen.
        images: Normalized images (N, C, H, W) of one size.

    Returns:
        For each map an array with the image's shape (H, W), whose sum is 1. It is NaN if no gradient reaches the image.

    Reference:
        Luo et al., `Understanding the Effective Receptive Field in Deep Convolutional Neural Networks
        <https://arxiv.org/abs/1701.04128>`_; Ding et al., `Scaling Up Your Kernels to 31x31
        <https://arxiv.org/abs/2203.06717>`_.

    Example:
        >>> class OneConv(nn.Conv2d):
        ...     def forward(self, x):
        ...         return (super().forward(x),)
        >>> (field,) = effective_fields(OneConv(3, 8, 5, padding=2), [torch.rand(1, 3, 32, 32)])
        >>> smallest_square(field, 1)
        Square(left=14, top=14, side=5)
    """
    # By `backward` and not `autograd.grad`, which blocks that recompute their activations cannot take.
    backbone.requires_grad_(False)
    totals: list[Tensor] = []
    for image in images:
        image = image.detach().clone().requires_grad_()
        with torch.enable_grad():
            centers = [x[..., x.shape[-2] // 2, x.shape[-1] // 2].relu().sum() for x in backbone(image)]
        totals = totals or [torch.zeros(image.shape[-2:], dtype=torch.float64) for _ in centers]
        for total, center in zip(totals, centers, strict=True):
            image.grad = None
            if center.requires_grad:
                center.backward(retain_graph=center is not centers[-1])
            if image.grad is not None:
                total += image.grad.abs().sum((0, 1)).double().cpu()
    return [(total / total.sum()).numpy() for total in totals]


def smallest_square(field: np.ndarray, part: float) -> Square:
    """Return the smallest square that holds a part of a field, wherever it is.

    Depending on the backbone's padding, the center of a map's pixel lies on a pixel of the image or between two, and up
    to half a stride from the image's center. So a square around that center would favor some backbones. Where several
    squares hold the same to 1 %, it is the one closest to the field's center of mass.

    Args:
        field: Values with shape (height, width), none of them negative.
        part: The part of their sum, from 0 to 1.

    Example:
        >>> smallest_square(np.eye(5), 0.6)
        Square(left=1, top=1, side=3)
    """
    sums = np.zeros((field.shape[0] + 1, field.shape[1] + 1))
    sums[1:, 1:] = field.cumsum(0).cumsum(1)
    wanted = part * sums[-1, -1] * (1 - ROUNDING)
    low, high = 1, min(field.shape)
    while low < high:
        side = (low + high) // 2
        low, high = (low, side) if _squares(sums, side).max() >= wanted else (side + 1, high)
    found = _squares(sums, low)
    places = np.argwhere(found >= SAME * found.max())
    center = [(field.sum(1 - axis) @ np.arange(field.shape[axis])) / sums[-1, -1] for axis in (0, 1)]
    distances = np.square(places + (low - 1) / 2 - center).sum(1)
    top, left = places[distances.argmin()].tolist()
    return Square(left, top, low)


def _squares(sums: np.ndarray, side: int) -> np.ndarray:
    """Return the sum of each square of a side, of the sums of all rectangles from the first pixel on."""
    return sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
