"""What a layer predicts, and the forms of boxes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Predictions(NamedTuple):
    """The predictions of one layer for every query.

    Args:
        logits: Of the classes, (N, Q, classes).
        boxes: Centers, widths and heights as shares of the image, (N, Q, 4).
        edges: D-FINE's distributions of the four edges, as logits, (N, Q, 4 * (bins + 1)).
        initial_boxes: The boxes that those edges refine, (N, Q, 4).
    """

    logits: Tensor
    boxes: Tensor
    edges: Tensor | None = None
    initial_boxes: Tensor | None = None

    def split(self, count: int) -> tuple['Predictions', 'Predictions']:
        """Return the predictions of the first `count` queries, and those of the others.

        Example:
            >>> first, others = Predictions(torch.rand(1, 5, 3), torch.rand(1, 5, 4)).split(2)
            >>> first.logits.shape[1], others.boxes.shape[1]
            (2, 3)
        """
        return self.apply(lambda x: x[:, :count]), self.apply(lambda x: x[:, count:])

    def apply(self, function: Callable[[Tensor], Tensor]) -> 'Predictions':
        """Return what a function makes of each tensor.

        Example:
            >>> Predictions(torch.rand(1, 5, 3).half(), torch.rand(1, 5, 4)).apply(Tensor.float).logits.dtype
            torch.float32
        """
        edges, initial_boxes = (None if x is None else function(x) for x in (self.edges, self.initial_boxes))
        return Predictions(function(self.logits), function(self.boxes), edges, initial_boxes)


def to_corners(boxes: Tensor) -> Tensor:
    """Return (left, top, right, bottom) of boxes that are (center x, center y, width, height), (..., 4).

    Example:
        >>> to_corners(torch.tensor([4.0, 6.0, 2.0, 8.0]))
        tensor([ 3.,  2.,  5., 10.])
    """
    centers, extents = boxes.split(2, -1)
    return torch.cat([centers - extents / 2, centers + extents / 2], -1)


def to_centers(corners: Tensor) -> Tensor:
    """Return (center x, center y, width, height) of boxes that are (left, top, right, bottom), (..., 4).

    Example:
        >>> to_centers(torch.tensor([3.0, 2.0, 5.0, 10.0]))
        tensor([4., 6., 2., 8.])
    """
    first, second = corners.split(2, -1)
    return torch.cat([(first + second) / 2, second - first], -1)


def inverse_sigmoid(shares: Tensor) -> Tensor:
    """Return the logits of shares of the image, those within 1e-5 of 0 and 1 moved to there.

    Example:
        >>> inverse_sigmoid(torch.tensor([0.5, 0.0]))
        tensor([  0.0000, -11.5129])
    """
    shares = shares.clamp(0, 1)
    return (shares.clamp(min=1e-5) / (1 - shares).clamp(min=1e-5)).log()
