"""How a label map differs from the truth: by class, and by the distance to the nearest boundary."""

import cv2
import numpy as np

# Up to these distances in pixels from a boundary of the truth errors are counted apart; beyond, together.
DISTANCES = (1, 2, 4, 8, 16, 32)


def map_confusion(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Return of how many pixels of each class a map says which class.

    Args:
        truth: The class of each pixel. Others than 0 to `classes` - 1 are ignored.
        found: What was found, with the same shape.
        classes: How many classes there are.

    Returns:
        Counts with shape (classes, classes): a row a class, a column what it is taken for.

    Example:
        >>> map_confusion(np.array([[0, 1, 255]]), np.array([[0, 0, 1]]), 2).tolist()
        [[1, 0], [1, 0]]
    """
    counts = (truth >= 0) & (truth < classes) & (found >= 0) & (found < classes)
    pairs = truth[counts].astype(np.int64) * classes + found[counts].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_ious(confusion: np.ndarray) -> np.ndarray:
    """Return the IoU of each class, from 0 to 1; nan of one that is neither there nor found.

    Example:
        >>> class_ious(np.array([[1, 1], [0, 2]])).round(2).tolist()
        [0.5, 0.67]
    """
    both = np.diag(confusion).astype(np.float64)
    either = confusion.sum(axis=0) + confusion.sum(axis=1) - both
    return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)


def boundary_distance(truth: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from the nearest boundary of classes, in pixels; 1 at a boundary.

    Args:
        truth: The class of each pixel, with shape (height, width).

    Returns:
        Distances as float32; infinity if there is no boundary.

    Example:
        >>> boundary_distance(np.array([[0, 0, 0, 1]])).tolist()
        [[3.0, 2.0, 1.0, 1.0]]
    """
    is_edge = np.zeros(truth.shape, bool)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differs = truth[first] != truth[second]
        is_edge[first] |= differs
        is_edge[second] |= differs
    if not is_edge.any():
        return np.full(truth.shape, np.inf, np.float32)
    return cv2.distanceTransform((~is_edge).astype(np.uint8), cv2.DIST_L2, 5) + 1


def errors_by_distance(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Return how many pixels are wrong, and how many there are, by their distance to the nearest boundary.

    Args:
        truth: As in `map_confusion`.
        found: Likewise.
        classes: Likewise.

    Returns:
        Counts with shape (2, distances + 1): up to each of `DISTANCES`, and beyond.

    Reference:
        The bands are those of trimaps: Robust Higher Order Potentials for Enforcing Label Consistency,
        https://doi.org/10.1007/s11263-008-0202-0

    Example:
        >>> errors_by_distance(np.array([[0, 0, 0, 1]]), np.array([[0, 0, 1, 1]]), 2)[:, :2].tolist()
        [[1, 0], [2, 1]]
    """
    counts = (truth >= 0) & (truth < classes)
    band = np.searchsorted(np.array(DISTANCES) + 0.5, boundary_distance(truth)[counts])
    is_wrong = truth[counts] != found[counts]
    size = len(DISTANCES) + 1
    return np.stack([np.bincount(band[is_wrong], minlength=size), np.bincount(band, minlength=size)])
