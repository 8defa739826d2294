"""Multi-scale deformable attention (https://arxiv.org/abs/2010.04159), by mmcv's own PyTorch implementation."""

import torch
from torch import Tensor

from convnext_dense.compat.ops.precision import at_least_float32


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Return the attended values, (N, queries, heads * channels).

    Args:
        value: (N, keys, heads, channels).
        spatial_shapes: (levels, 2), the height and width of each level.
        level_start_index: (levels,), unused: it follows from `spatial_shapes`.
        sampling_locations: (N, queries, heads, levels, points, 2), (x, y) from 0 to 1.
        attention_weights: (N, queries, heads, levels, points).
        im2col_step: Unused: the number of images that mmcv's kernel processes at a time.
    """
    tensors = value, sampling_locations, attention_weights
    return _attend(spatial_shapes, *map(at_least_float32, tensors)).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fill the three gradients; the other arguments are those of `ms_deform_attn_forward`."""
    tensors = value, sampling_locations, attention_weights
    with torch.enable_grad():
        leaves = [at_least_float32(tensor.detach()).requires_grad_() for tensor in tensors]
        output = _attend(spatial_shapes, *leaves)
    grads = torch.autograd.grad(output, leaves, grad_output.to(output.dtype))
    for output_grad, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), grads, strict=True):
        output_grad.copy_(grad)


def _attend(spatial_shapes: Tensor, value: Tensor, sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
    # Imported late, because mmcv is still importing that module when it loads this one.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    with torch.autocast(value.device.type, enabled=False):
        return multi_scale_deformable_attn_pytorch(
            value,
            spatial_shapes.tolist(),  # pyrefly: ignore[bad-argument-type] - mmcv only iterates over it
            sampling_locations,
            attention_weights,
        )
