"""Where a deformable convolution samples."""

from typing import NamedTuple

import torch
from torch import Tensor


class Geometry(NamedTuple):
    """A convolution's geometry, in the order of torchvision's operators."""

    stride_h: int
    stride_w: int
    padding_h: int
    padding_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    deform_groups: int


def on_the_edge(offset: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return whether each offset's sample lies at exactly -1, as (N, 2 * points, H_out, W_out).

    mmcv's kernels give such a sample no gradient, torchvision's do. With offsets of 0, which training starts from,
    and a padding of 1, they are the first row and column.
    """
    kernel_h, kernel_w = weight.shape[-2:]
    pairs = offset.unflatten(1, (geometry.deform_groups, kernel_h, kernel_w, 2))
    y, x = (torch.arange(length, device=offset.device) for length in offset.shape[-2:])
    tap_y, tap_x = (torch.arange(length, device=offset.device) for length in (kernel_h, kernel_w))
    row = tap_y[:, None, None, None] * geometry.dilation_h + y[:, None] * geometry.stride_h - geometry.padding_h
    column = tap_x[:, None, None] * geometry.dilation_w + x * geometry.stride_w - geometry.padding_w
    on_the_edge = (row + pairs[..., 0, :, :] == -1) | (column + pairs[..., 1, :, :] == -1)
    return on_the_edge.unsqueeze(-3).expand(pairs.shape).reshape(offset.shape)
