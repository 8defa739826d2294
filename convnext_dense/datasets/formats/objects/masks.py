"""Masks as COCO's form has them."""

import numpy as np
from pycocotools import mask as coco_mask


def encode_mask(mask: np.ndarray) -> dict:
    """Return a mask as a compressed RLE.

    Args:
        mask: With shape (height, width).

    Example:
        >>> encode_mask(np.eye(2, dtype=bool))
        {'size': [2, 2], 'counts': '0120'}
    """
    found = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {'size': list(found['size']), 'counts': found['counts'].decode()}


def mask_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box around a mask that is not empty: x, y, width and height.

    Args:
        mask: With shape (height, width).

    Example:
        >>> mask_box(np.eye(3, dtype=bool))
        (0.0, 0.0, 3.0, 3.0)
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return float(columns[0]), float(rows[0]), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)
