"""What is taken for what."""

from typing import NamedTuple

import numpy as np

from convnext_dense.evaluation.errors.boxes import Boxes, overlaps, pairs_by_image

IOU, SCORE = 0.5, 0.3


class Mistake(NamedTuple):
    """Two classes that are mixed up.

    Args:
        truth: The class; the number of classes stands for background.
        found: What it is taken for, likewise.
        count: How often.
        share: In what part of the objects, or pixels, of `truth`.
    """

    truth: int
    found: int
    count: int
    share: float


def box_confusion(truth: Boxes, found: Boxes, classes: int) -> np.ndarray:
    """Return how often an object of each class is found as one of each class.

    Boxes with a score of at least `SCORE` take the object with which they have the highest IoU, whatever its class,
    those of the highest score first, if the IoU is at least `IOU`.

    Args:
        truth: The objects.
        found: What a detector found.
        classes: How many classes there are.

    Returns:
        Counts with shape (classes + 1, classes + 1): a row a class, a column what it is taken for, and last background.

    Example:
        >>> from convnext_dense.evaluation.errors.boxes import make_boxes
        >>> truth = make_boxes([0, 0], [0, 1], [[0, 0, 9, 9], [20, 0, 29, 9]])
        >>> box_confusion(truth, make_boxes([0], [1], [[0, 0, 9, 8]], [0.9]), 2).tolist()
        [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    """
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    found = found.at(found.score >= SCORE)
    for objects, boxes in pairs_by_image(truth, found):
        boxes = boxes[np.argsort(-found.score[boxes], kind='stable')]
        is_ignored = truth.is_ignored[objects]
        ious = overlaps(found.box[boxes], truth.box[objects], is_ignored)
        is_free = ~is_ignored
        for box, row in zip(boxes, ious, strict=True):
            free = np.where(is_free, row, 0)
            if len(free) and free.max() >= IOU:
                best = int(free.argmax())
                is_free[best] = False
                matrix[truth.label[objects[best]], found.label[box]] += 1
            elif not (row[is_ignored] >= IOU).any():
                matrix[classes, found.label[box]] += 1
        matrix[:, classes] += np.bincount(truth.label[objects[is_free]], minlength=classes + 1)
    return matrix


def mistakes(matrix: np.ndarray, most: int, classes: int) -> list[Mistake]:
    """Return what is mixed up most often.

    Args:
        matrix: Counts: a row a class, a column what it is taken for.
        most: How many.
        classes: How many of the rows and columns are classes; background, which may follow, is none.

    Example:
        >>> mistakes(np.array([[5, 0], [3, 9]]), 5, 2)
        [Mistake(truth=1, found=0, count=3, share=0.25)]
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    wrong[classes:] = wrong[:, classes:] = 0
    order = np.argsort(-wrong, axis=None, kind='stable')[:most]
    rows, columns = np.unravel_index(order, wrong.shape)
    totals = matrix.sum(axis=1)
    return [
        Mistake(row, column, int(wrong[row, column]), float(wrong[row, column] / totals[row]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong[row, column]
    ]
