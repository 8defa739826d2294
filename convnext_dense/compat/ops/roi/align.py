"""RoIAlign (https://arxiv.org/abs/1703.06870): averages by torchvision's kernel, maxima by plain PyTorch."""

import torch
from torch import Tensor

from convnext_dense.compat.ops.precision import at_least_float32
from convnext_dense.compat.ops.roi.bilinear import bin_positions, samples_at

MAX_POOLING = 0
NOTHING_POOLED = -1


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `output` (R, C, aligned_height, aligned_width) with the pooled features.

    Args:
        input: (N, C, H, W) features, of any floating type.
        rois: (R, 5), as batch index, x1, y1, x2, y2 in pixels of the image.
        output: The tensor to fill.
        argmax_y: For max pooling, of the output's shape: filled with the row of the maximum in pixels, or -1.
        argmax_x: For max pooling, of the output's shape: filled with the column of the maximum in pixels, or -1.
        aligned_height: Rows of the output.
        aligned_width: Columns of the output.
        spatial_scale: Pixels of `input` per pixel of the image.
        sampling_ratio: Samples along each side of a bin; 0 chooses by the RoI's size.
        pool_mode: 0, the maximum of a bin's samples, 0 if it has none; 1, their average.
        aligned: Whether pixel centers are at half-integer coordinates.
    """
    features = at_least_float32(input)
    if pool_mode == MAX_POOLING:
        shape = aligned_height, aligned_width
        _max_pool(features, rois, output, argmax_y, argmax_x, shape, spatial_scale, sampling_ratio, aligned)
        return
    pooled = torch.ops.torchvision.roi_align(
        features,
        rois.to(features.dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        sampling_ratio,
        aligned,
    )
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `grad_input` (N, C, H, W); the other arguments are those of `roi_align_forward`."""
    grad = at_least_float32(grad_output)
    if pool_mode == MAX_POOLING:
        _max_pool_backward(grad, rois, argmax_y, argmax_x, grad_input)
        return
    grad_features = torch.ops.torchvision._roi_align_backward(
        grad,
        rois.to(grad.dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.copy_(grad_features)


def _max_pool(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    shape: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    if features.is_meta:
        return
    rois = rois.to(features.dtype)
    shift = 0.5 if aligned else 0.0
    start, end = (rois[:, i : i + 2] * spatial_scale - shift for i in (1, 3))
    sizes = end - start if aligned else (end - start).clamp(min=1)
    bin_sizes = sizes / sizes.new_tensor([shape[1], shape[0]])
    counts = bin_sizes.ceil().clamp(min=0) if sampling_ratio <= 0 else torch.full_like(sizes, sampling_ratio)
    rows = zip(rois[:, 0].long().tolist(), counts.long().tolist(), bin_sizes.tolist(), strict=True)
    for r, (image, (across, down), (bin_width, bin_height)) in enumerate(rows):
        if not across or not down:
            output[r], argmax_y[r], argmax_x[r] = 0, NOTHING_POOLED, NOTHING_POOLED
            continue
        y = bin_positions(start[r, 1:], bin_height, shape[0], down)[:, None, :, None]
        x = bin_positions(start[r, :1], bin_width, shape[1], across)[None, :, None, :]
        y, x = (position.flatten(2) for position in torch.broadcast_tensors(y, x))
        samples = samples_at(y, x, *features.shape[-2:])
        values = (features[image].flatten(1)[:, samples.place] * samples.weight).sum(1)
        best, position = values.max(dim=-1)
        output[r] = best
        argmax_y[r] = y.expand(values.shape).gather(-1, position[..., None])[..., 0]
        argmax_x[r] = x.expand(values.shape).gather(-1, position[..., None])[..., 0]


def _max_pool_backward(grad: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor) -> None:
    samples = samples_at(at_least_float32(argmax_y), at_least_float32(argmax_x), *grad_input.shape[-2:])
    weighted = grad * samples.weight * (argmax_y != NOTHING_POOLED)
    image = rois[:, 0].long()[:, None, None, None]
    channel = torch.arange(grad_input.shape[1], device=grad.device)[:, None, None]
    grad_features = grad.new_zeros(grad_input.flatten(2).shape)
    grad_features.index_put_((image, channel, samples.place), weighted, accumulate=True)
    grad_input.copy_(grad_features.view(grad_input.shape))
