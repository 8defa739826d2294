"""Finds places for the names of objects, where they cover little of what they name."""

from collections.abc import Sequence

import numpy as np

# How much of another object a name may cover.
MOST_COVERED = 0.25
# Between a name and its object, in pixels.
GAP = 1


def place_labels(
    boxes: Sequence[Sequence[float] | np.ndarray], sizes: Sequence[tuple[int, int]], area: tuple[int, int]
) -> list[tuple[float, float] | None]:
    """Return the left and top of the names of objects, next to their boxes; None where there is no place.

    Names do not overlap, do not cover their own object, and no more than a quarter of another.

    Args:
        boxes: Each object's left, top, right and bottom, the most important first.
        sizes: Each name's width and height. There may be fewer of them than objects.
        area: The picture's width and height.

    Example:
        >>> place_labels([(0, 20, 30, 50), (0, 22, 30, 52)], [(40, 10), (40, 10)], (100, 60))
        [(0.0, 9.0), (31.0, 22.0)]
    """
    corners = np.array(boxes, float).reshape(-1, 4)
    placed = np.zeros((0, 4))
    found: list[tuple[float, float] | None] = []
    for i, size in enumerate(sizes):
        others = np.delete(corners, i, axis=0)
        best, least = None, MOST_COVERED
        for left, top in _candidates(corners[i], size, area):
            name = np.array([left, top, left + size[0], top + size[1]])
            if _overlaps(name, placed).any() or _overlaps(name, corners[i : i + 1]).any():
                continue
            covered = (_overlaps(name, others) / np.maximum(_areas(others), 1)).max(initial=0)
            if covered < least:
                best, least = name, covered
        if best is None:
            found.append(None)
        else:
            found.append((best[0].item(), best[1].item()))
            placed = np.vstack([placed, best])
    return found


def _candidates(box: np.ndarray, size: tuple[int, int], area: tuple[int, int]) -> list[tuple[float, float]]:
    """Return places around a box that are inside of the area, the usual ones first."""
    (left, top, right, bottom), (width, height) = box, size
    places = [
        (left, top - height - GAP),
        (right - width, top - height - GAP),
        (left, bottom + GAP),
        (right - width, bottom + GAP),
        (right + GAP, top),
        (left - width - GAP, top),
        (right + GAP, bottom - height),
        (left - width - GAP, bottom - height),
    ]
    shifted = [(min(max(x, 0), area[0] - width), y) for x, y in places]
    return [(x, y) for x, y in shifted if x >= 0 and 0 <= y <= area[1] - height]


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how much area a box has in common with each of others."""
    return _areas(np.hstack([np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])]))
