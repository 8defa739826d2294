"""Colors for the pixels of feature maps: similar features have similar colors."""

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

COLORS = 3
# As DINOv3's notebooks have it: contrast, before the sigmoid.
CONTRAST = 2.0
# Of the mean square of a pixel. A component of less variance is rounding, and has no color.
LEAST_VARIANCE = 1e-12


class PrincipalColors:
    """Paints feature maps in their first three principal components, as red, green and blue.

    The components are those of the pixels of all maps that were added, so a color means the same in each of them. The
    projections are divided by their standard deviation and pass a sigmoid. A component's sign is free; here its largest
    entry is positive.

    Args:
        channels: The channels of the maps.

    Reference:
        Siméoni et al., `DINOv3 <https://arxiv.org/abs/2508.10104>`_, and its notebook on PCA of patch features.

    Example:
        >>> colors = PrincipalColors(8)
        >>> feature_map = torch.arange(8 * 4 * 6.0).reshape(8, 4, 6)
        >>> colors.add(feature_map)
        >>> colors.paint(feature_map).shape, round(colors.explained, 6)
        ((4, 6, 3), 1.0)
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.sum = torch.zeros(channels, dtype=torch.float64)
        self.products = torch.zeros(channels, channels, dtype=torch.float64)
        self._fitted: tuple[Tensor, Tensor, float] | None = None

    def add(self, feature_map: Tensor) -> None:
        """Add the pixels of a map.

        Args:
            feature_map: The map, with shape (channels, height, width).
        """
        pixels = feature_map.flatten(1).double()
        self.count += pixels.shape[1]
        self.sum += pixels.sum(1).cpu()
        self.products += (pixels @ pixels.T).cpu()
        self._fitted = None

    @property
    def explained(self) -> float:
        """The part of the pixels' variance that the three components have, from 0 to 1."""
        return self._fit()[2]

    def paint(self, feature_map: Tensor) -> np.ndarray:
        """Return a map's colors as RGB of 8 bits, with shape (height, width, 3).

        Args:
            feature_map: The map, with shape (channels, height, width).
        """
        mean, components, _ = self._fit()
        pixels = feature_map.permute(1, 2, 0).double().cpu() - mean
        return (torch.sigmoid(CONTRAST * (pixels @ components)) * 255).round().byte().numpy()

    def _fit(self) -> tuple[Tensor, Tensor, float]:
        """Return the mean, the components divided by their standard deviations, and their part of the variance."""
        if self._fitted is None:
            mean = self.sum / self.count
            covariance = self.products / self.count - mean.outer(mean)
            channels = len(mean)
            first = max(channels - COLORS, 0)
            values, vectors = map(
                torch.from_numpy, scipy.linalg.eigh(covariance.numpy(), subset_by_index=(first, channels - 1))
            )
            # The largest first.
            values, vectors = values.flip(0), vectors.flip(1)
            largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
            has_color = values > LEAST_VARIANCE * self.products.trace() / self.count
            scales = torch.where(has_color, largest.sign()[0] / values.clamp(min=1e-300).sqrt(), 0.0)
            components = torch.zeros(channels, COLORS, dtype=torch.float64)
            components[:, : len(values)] = vectors * scales
            explained = float(values[has_color].sum() / covariance.trace()) if has_color.any() else 1.0
            self._fitted = mean, components, explained
        return self._fitted
