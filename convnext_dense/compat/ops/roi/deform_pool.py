"""Deformable RoI pooling (https://arxiv.org/abs/1811.11168): average RoIAlign whose bins are moved by offsets."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from convnext_dense.compat.ops.precision import at_least_float32
from convnext_dense.compat.ops.roi.bilinear import Samples, bin_positions, samples_at


class MovedRoI(NamedTuple):
    """A RoI's image, its width and height in pixels of the features, and its samples with their (y, x)."""

    image: int
    size: Tensor
    samples: Samples
    y: Tensor
    x: Tensor


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fill `output` (R, C, pooled_height, pooled_width) with the pooled features.

    Args:
        input: (N, C, H, W) features.
        rois: (R, 5), as batch index, x1, y1, x2, y2 in pixels of the image.
        offset: (R, 2, pooled_height, pooled_width), (x, y) of each bin, in `gamma` of the RoI's size; empty for none.
        output: The tensor to fill.
        pooled_height: Rows of the output.
        pooled_width: Columns of the output.
        spatial_scale: Pixels of `input` per pixel of the image.
        sampling_ratio: Samples along each side of a bin; 0 chooses by the RoI's size.
        gamma: What the offsets are multiplied by.
    """
    if input.is_meta:
        return
    features = at_least_float32(input).flatten(2)
    moved = _moved_rois(input, rois, offset, (pooled_height, pooled_width), spatial_scale, sampling_ratio, gamma)
    for r, roi in enumerate(moved):
        pixels = features[roi.image][:, roi.samples.place]
        values = (pixels * roi.samples.weight).sum(1)
        output[r] = values.sum(-1) / max(values.shape[-1], 1)


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fill the two gradients; the other arguments are those of `deform_roi_pool_forward`."""
    width = input.shape[-1]
    features = at_least_float32(input).flatten(2)
    grad = torch.zeros_like(features)
    moved = _moved_rois(input, rois, offset, (pooled_height, pooled_width), spatial_scale, sampling_ratio, gamma)
    for r, roi in enumerate(moved):
        place, weight, inside = roi.samples
        grad_value = grad_output[r].to(grad.dtype)[..., None] / max(place.shape[-1], 1)
        grad_pixels = grad_value[:, None] * weight
        grad[roi.image].index_add_(1, place.flatten(), grad_pixels.flatten(1))
        if not offset.numel():
            continue
        top_left, top_right, bottom_left, bottom_right = features[roi.image][:, place].unbind(1)
        # As in mmcv's kernel, the distances are of the samples before they are clamped to the border.
        top, bottom = (roi.y - place[i] // width for i in (0, 3))
        left, right = (roi.x - place[i] % width for i in (0, 3))
        along_x = (bottom_right - bottom_left) * top - (top_right - top_left) * bottom
        along_y = (bottom_right - top_right) * left - (bottom_left - top_left) * right
        for i, slope in enumerate((along_x, along_y)):
            grad_offset[r, i] = gamma * roi.size[i] * (grad_value * slope * inside).sum((0, -1))
    grad_input.copy_(grad.view(input.shape))


def _moved_rois(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> Iterator[MovedRoI]:
    """Yield the RoIs. The samples are (..., pooled_height, pooled_width, samples in a bin)."""
    rois = at_least_float32(rois)
    start, end = (rois[:, i : i + 2] * spatial_scale - 0.5 for i in (1, 3))
    sizes = end - start
    bin_sizes = sizes / sizes.new_tensor([bins[1], bins[0]])
    counts = bin_sizes.ceil().clamp(min=0).long() if sampling_ratio <= 0 else torch.full_like(sizes, sampling_ratio)
    rows = zip(rois[:, 0].long().tolist(), counts.long().tolist(), bin_sizes.tolist(), strict=True)
    for r, (image, (across, down), (bin_width, bin_height)) in enumerate(rows):
        begin = start[r][:, None, None].expand(2, *bins)
        if offset.numel():
            begin = begin + gamma * sizes[r][:, None, None] * offset[r].to(begin.dtype)
        x = bin_positions(begin[0], bin_width, bins[1], across)[:, :, None, :]
        y = bin_positions(begin[1].T, bin_height, bins[0], down).transpose(0, 1)[:, :, :, None]
        y, x = (position.flatten(2) for position in torch.broadcast_tensors(y, x))
        yield MovedRoI(image, sizes[r], samples_at(y, x, *input.shape[-2:]), y, x)
