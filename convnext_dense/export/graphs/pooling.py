"""Adaptive average pooling in a form that has sizes as inputs."""

import torch
from torch import Tensor, nn


class AdaptiveAveragePool(nn.Module):
    """`torch.nn.AdaptiveAvgPool2d` as two products with matrices, which any runtime has.

    Args:
        size: The height and width of the result; None for that of the input.

    Example:
        >>> maps = torch.rand(1, 2, 7, 9)
        >>> torch.testing.assert_close(AdaptiveAveragePool((3, 2))(maps), nn.AdaptiveAvgPool2d((3, 2))(maps))
    """

    def __init__(self, size: tuple[int | None, int | None]) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Return the means, with shape (..., height, width)."""
        height, width = self.size
        if width is not None:
            maps = maps @ self._weights(maps, maps.shape[-1], width)
        if height is not None:
            maps = self._weights(maps, maps.shape[-2], height).T @ maps
        return maps

    @staticmethod
    def _weights(maps: Tensor, length: int, bins: int) -> Tensor:
        """Return the share of each pixel in each bin, with shape (length, bins)."""
        numbers = torch.arange(bins, device=maps.device)
        starts = numbers * length // bins
        ends = ((numbers + 1) * length + bins - 1) // bins
        pixels = torch.arange(length, device=maps.device)[:, None]
        return ((pixels >= starts) & (pixels < ends)).to(maps.dtype) / (ends - starts).to(maps.dtype)


def replace_pools(model: nn.Module) -> None:
    """Replace a model's adaptive average pools.

    Args:
        model: The model, which is changed.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                size = child.output_size
                pair = size if isinstance(size, tuple) else (size, size)
                setattr(module, name, AdaptiveAveragePool(pair))
