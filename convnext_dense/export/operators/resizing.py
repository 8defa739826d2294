"""Bilinear resizing to a size that is an input."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate


@torch.library.custom_op('convnext_dense::resize', mutates_args=())
def resize(maps: Tensor, size: Tensor, align_corners: bool) -> Tensor:
    """Return maps in another size.

    Args:
        maps: With shape (N, C, H, W).
        size: The height and width, as integers with shape (2,).
        align_corners: As in `torch.nn.functional.interpolate`.

    Returns:
        With shape (N, C, height, width).

    Example:
        >>> resize(torch.ones(1, 2, 4, 4), torch.tensor([6, 8]), False).shape
        torch.Size([1, 2, 6, 8])
    """
    return interpolate(maps, size.tolist(), mode='bilinear', align_corners=align_corners)


@resize.register_fake
def _(maps: Tensor, size: Tensor, align_corners: bool) -> Tensor:
    context = torch.library.get_ctx()
    height, width = (context.new_dynamic_size(min=1) for _ in range(2))
    return maps.new_empty((maps.shape[0], maps.shape[1], height, width))
