"""Finds objects that seem to be annotated twice: boxes of one class that are almost the same."""

import numpy as np

# Boxes that overlap by more of their union are of one object. Crowded objects of one class overlap by less.
OVERLAP = 0.9
# Boxes of an image and class, sorted by their left side, are compared with so many that follow.
COMPARED = 8


def near_boxes(groups: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return which boxes almost are another one of their group that comes before.

    Args:
        groups: The group of each box, such as its image and class, with shape (N, M), as integers.
        boxes: x, y, width and height in pixels, with shape (N, 4).

    Returns:
        Whether each is, with shape (N,).

    Example:
        >>> boxes = np.array([[10, 10, 100, 100], [12, 12, 100, 100], [12, 12, 50, 100]])
        >>> near_boxes(np.array([[0], [0], [0]]), boxes).tolist()
        [False, True, False]
    """
    order = np.lexsort((np.arange(len(boxes)), boxes[:, 0], *groups.T))
    groups, boxes = groups[order], boxes[order].astype(np.float64)
    starts, ends = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    areas = boxes[:, 2] * boxes[:, 3]
    found = np.zeros(len(boxes), dtype=bool)
    for step in range(1, min(COMPARED, len(boxes) - 1) + 1):
        sides = np.minimum(ends[step:], ends[:-step]) - np.maximum(starts[step:], starts[:-step])
        shared = np.clip(sides, 0, None).prod(axis=1)
        union = areas[step:] + areas[:-step] - shared
        is_near = (groups[step:] == groups[:-step]).all(axis=1) & (shared > OVERLAP * union)
        later = np.where(order[step:] > order[:-step], np.arange(step, len(boxes)), np.arange(len(boxes) - step))
        found[later[is_near]] = True
    result = np.zeros(len(boxes), dtype=bool)
    result[order] = found
    return result
