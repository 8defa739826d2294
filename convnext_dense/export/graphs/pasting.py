"""Masks of boxes, pasted into images."""

import torch
from torch import Tensor


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return masks of boxes as masks of the image, by bilinear interpolation as mmdet's `FCNMaskHead` does.

    Bilinear interpolation is two products with matrices, which any runtime has.

    Args:
        masks: Probabilities, with shape (N, K, side, side).
        boxes: Left, top, right and bottom in pixels, with shape (N, K, 4).
        size: The images' height and width.

    Returns:
        Probabilities with shape (N, K, height, width).

    Example:
        >>> paste(torch.ones(1, 1, 2, 2), torch.tensor([[[1.0, 1, 3, 3]]]), (4, 4))[0, 0, 1].tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    left, top, right, bottom = boxes[..., None].unbind(2)
    across = _weights(left, right, size[1], masks.shape[-1])
    down = _weights(top, bottom, size[0], masks.shape[-2])
    return down @ masks @ across.transpose(-1, -2)


def _weights(low: Tensor, high: Tensor, length: int, side: int) -> Tensor:
    """Return how much of each of a mask's columns is in each pixel, with shape (N, K, length, side)."""
    pixels = torch.arange(length, device=low.device, dtype=low.dtype) + 0.5
    places = (pixels - low) / (high - low).clamp(min=1e-6) * side - 0.5
    columns = torch.arange(side, device=low.device, dtype=low.dtype)
    return (1 - (places[..., None] - columns).abs()).clamp(min=0)
