"""Boxes of many images as arrays, and how they overlap."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Boxes:
    """Boxes of many images: those of the truth, or those that were found.

    Args:
        image: The number of each box's image, with shape (boxes,).
        label: Its class.
        box: Left, top, right and bottom in pixels, with shape (boxes, 4).
        score: The scores of what was found; 1 for the truth.
        is_ignored: Whether it is neither found nor missed, such as a crowd; False for what was found.
        area: The areas by which objects are small or large, in square pixels.
    """

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    score: np.ndarray
    is_ignored: np.ndarray
    area: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def at(self, where: np.ndarray) -> 'Boxes':
        """Return some of the boxes."""
        parts = (self.image, self.label, self.box, self.score, self.is_ignored, self.area)
        return Boxes(*(part[where] for part in parts))


def make_boxes(
    image: object,
    label: object,
    box: object,
    score: object | None = None,
    is_ignored: object | None = None,
    area: object | None = None,
) -> Boxes:
    """Return boxes of arrays or lists. Areas are by default the boxes' own.

    Example:
        >>> make_boxes([0], [2], [[0, 0, 4, 2]]).area
        array([8.])
    """
    corners = np.asarray(box, np.float64).reshape(-1, 4)
    own = np.clip(corners[:, 2] - corners[:, 0], 0, None) * np.clip(corners[:, 3] - corners[:, 1], 0, None)
    return Boxes(
        np.asarray(image, np.int64).reshape(-1),
        np.asarray(label, np.int64).reshape(-1),
        corners,
        np.ones(len(corners)) if score is None else np.asarray(score, np.float64).reshape(-1),
        np.zeros(len(corners), bool) if is_ignored is None else np.asarray(is_ignored, bool).reshape(-1),
        own if area is None else np.asarray(area, np.float64).reshape(-1),
    )


def pairs_by_image(truth: Boxes, found: Boxes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each image with boxes which of the truth, and which of what was found, are its own.

    Example:
        >>> truth, found = make_boxes([3], [0], [[0, 0, 1, 1]]), make_boxes([], [], [])
        >>> [(own.tolist(), other.tolist()) for own, other in pairs_by_image(truth, found)]
        [([0], [])]
    """
    groups = [_by_image(boxes.image) for boxes in (truth, found)]
    nothing = np.zeros(0, np.int64)
    for image in sorted({*groups[0], *groups[1]}):
        yield groups[0].get(image, nothing), groups[1].get(image, nothing)


def overlaps(found: np.ndarray, truth: np.ndarray, is_ignored: np.ndarray) -> np.ndarray:
    """Return the IoU of each found box with each of the truth; with an ignored one, the part of the found box in it.

    Args:
        found: Boxes with shape (found, 4).
        truth: Boxes with shape (truth, 4).
        is_ignored: Which of the truth are ignored, with shape (truth,).

    Returns:
        An array with shape (found, truth).

    Example:
        >>> box = np.array([[0, 0, 2, 2]])
        >>> overlaps(box, np.array([[1, 0, 3, 2], [0, 0, 8, 8]]), np.array([False, True])).round(2).tolist()
        [[0.33, 1.0]]
    """
    corner = np.maximum(found[:, None, :2], truth[None, :, :2])
    end = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    both = np.clip(end - corner, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (found, truth)]
    whole = np.where(is_ignored[None], areas[0][:, None], areas[0][:, None] + areas[1][None] - both)
    return np.divide(both, whole, out=np.zeros(both.shape), where=whole > 0)


def _by_image(images: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(images, kind='stable')
    values, starts = np.unique(images[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True)) if len(order) else {}
