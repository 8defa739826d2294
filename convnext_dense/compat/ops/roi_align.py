"""RoIAlign (https://arxiv.org/abs/1703.06870), average pooling."""

import torch
from torch import Tensor

from convnext_dense.compat.ops.precision import at_least_float32

MAX_POOLING = 0


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
        argmax_y: Unused: for max pooling only.
        argmax_x: Unused: for max pooling only.
        aligned_height: Rows of the output.
        aligned_width: Columns of the output.
        spatial_scale: Pixels of `input` per pixel of the image.
        sampling_ratio: Samples along each side of a bin; 0 chooses by the RoI's size.
        pool_mode: 1, average pooling.
        aligned: Whether pixel centers are at half-integer coordinates.

    Raises:
        NotImplementedError: For max pooling, which torchvision lacks.
    """
    _refuse_max_pooling(pool_mode)
    features = at_least_float32(input)
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
    _refuse_max_pooling(pool_mode)
    grad = at_least_float32(grad_output)
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


def _refuse_max_pooling(pool_mode: int) -> None:
    if pool_mode == MAX_POOLING:
        raise NotImplementedError(
            "roi_align with pool_mode='max' has no torchvision form; "
            "use pool_mode='avg', or install a compiled mmcv 2.1.0."
        )
