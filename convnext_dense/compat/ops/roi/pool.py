"""RoIPool (https://arxiv.org/abs/1504.08083) in plain PyTorch. torchvision's rounds the RoIs; mmcv's does not."""

from typing import NamedTuple

import torch
from torch import Tensor

NOTHING_POOLED = -1


class Members(NamedTuple):
    """The rows (or columns) in each bin, (bins, most in a bin), padded with entries that are not `inside`."""

    index: Tensor
    inside: Tensor


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill `output` (R, C, pooled_height, pooled_width) with each bin's maximum, 0 for an empty bin.

    Args:
        input: (N, C, H, W) features.
        rois: (R, 5), as batch index, x1, y1, x2, y2 in pixels of the image, ends inclusive.
        output: The tensor to fill.
        argmax: (R, C, pooled_height, pooled_width), filled with the position of the maximum, ``y * W + x``, or -1.
        pooled_height: Rows of the output.
        pooled_width: Columns of the output.
        spatial_scale: Pixels of `input` per pixel of the image.
    """
    if input.is_meta:
        return
    height, width = input.shape[-2:]
    bounds = rois[:, 1:].float()
    ends = (bounds[:, 2:] + 1) * spatial_scale
    starts = bounds[:, :2] * spatial_scale
    left, right = _bins(starts[:, 0], ends[:, 0], pooled_width, width)
    top, bottom = _bins(starts[:, 1], ends[:, 1], pooled_height, height)
    for r, image in enumerate(rois[:, 0].long().tolist()):
        rows = _members(top[r], bottom[r])
        columns = _members(left[r], right[r])
        # (bins down, bins across, rows in a bin * columns in a bin), in row-major order as mmcv scans a bin.
        place = rows.index[:, None, :, None] * width + columns.index[None, :, None, :]
        inside = rows.inside[:, None, :, None] & columns.inside[None, :, None, :]
        place, inside = place.flatten(2), inside.flatten(2)
        values = input[image].flatten(1)[:, place].masked_fill(~inside, -torch.inf)
        best, position = values.max(dim=-1)
        empty = ~inside.any(dim=-1)
        output[r] = best.masked_fill(empty, 0)
        found = place.expand(values.shape).gather(-1, position[..., None])[..., 0]
        argmax[r] = found.masked_fill(empty, NOTHING_POOLED).to(argmax.dtype)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add each output's gradient to `grad_input` (N, C, H, W), at the position of its maximum."""
    pooled = argmax != NOTHING_POOLED
    roi, channel, _, _ = pooled.nonzero(as_tuple=True)
    image = rois[:, 0].long()[roi]
    grad_input.flatten(2).index_put_((image, channel, argmax[pooled].long()), grad_output[pooled], accumulate=True)


def _bins(start: Tensor, end: Tensor, bins: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the first row of each bin and the row after its last, both (R, bins). The bins of empty RoIs are empty."""
    length = (end - start)[:, None]
    step = torch.arange(bins + 1, device=start.device)
    edges = step * (length / bins) + start[:, None]
    first = edges[:, :-1].floor().clamp(0, size).long()
    after = edges[:, 1:].ceil().clamp(0, size).long()
    return first, torch.where(length > 0, after, first)


def _members(first: Tensor, after: Tensor) -> Members:
    most = max(int((after - first).max()), 1)
    index = first[:, None] + torch.arange(most, device=first.device)
    inside = index < after[:, None]
    return Members(torch.where(inside, index, 0), inside)
