"""Finds places for the names of objects, where they cover little of what they name."""

from collections.abc import Sequence

import numpy as np

# How much of another object a name may cover.
MOST_COVERED = 0.25
# Between a name and its object, in pixels.
GAP = 1


def place_labels(
    boxes: Sequence[Sequence[float] | np.ndarray],
    sizes: Sequence[tuple[int, int]],
    area: tuple[int, int],
    taken: Sequence[Sequence[float]] = (),
) -> list[tuple[float, float] | None]:
    """Return the left and top of the names of objects, next to their boxes or in a corner of them; None where there is
    no place.

    Names do not overlap, and cover no more than a quarter of an object.

    Args:
        boxes: Each object's left, top, right and bottom, the most important first.
        sizes: Each name's width and height. There may be fewer of them than objects.
        area: The picture's width and height.
        taken: Where names are already: left, top, right and bottom.

    Example:
        >>> place_labels([(0, 20, 30, 50), (0, 22, 30, 52)], [(40, 10), (40, 10)], (100, 60))
        [(0.0, 9.0), (31.0, 22.0)]
    """
    corners = np.array(boxes, float).reshape(-1, 4)
    areas = np.maximum(_areas(corners), 1)
    placed = np.array(taken, float).reshape(-1, 4)
    found: list[tuple[float, float] | None] = []
    for i, size in enumerate(sizes):
        names = np.array(_candidates(corners[i], size, area)).reshape(-1, 2)
        names = np.hstack([names, names + size])
        covered = _overlaps(names, corners) / areas
        # Next to its own object if it can be.
        rank = covered.max(axis=1) + (covered[:, i] > 0)
        is_free = (covered < MOST_COVERED).all(axis=1) & ~_overlaps(names, placed).any(axis=1)
        if not is_free.any():
            found.append(None)
            continue
        best = names[np.where(is_free, rank, np.inf).argmin()]
        found.append((best[0].item(), best[1].item()))
        placed = np.vstack([placed, best])
    return found


def _candidates(box: np.ndarray, size: tuple[int, int], area: tuple[int, int]) -> list[tuple[float, float]]:
    """Return places in the corners of a box and around it that are inside of the area."""
    (left, top, right, bottom), (width, height) = box, size
    # Its corners first: beyond the picture's edge, the places to its right and left are in it, too.
    places = [
        (left, top),
        (right - width, top),
        (left, bottom - height),
        (right - width, bottom - height),
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
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how much area each box has in common with each of others."""
    first, last = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    return _areas(np.concatenate([first, last], axis=-1))
