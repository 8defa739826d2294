"""Fills in what annotation files leave out: COCO's `iscrowd` and `area`, which mmdet's datasets and metrics read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers.coco_api import COCO
from pycocotools import mask

# Untyped: the stubs' dicts have more keys than are needed.
rle: Any = mask


def fill_missing_fields() -> None:
    """Make mmdet's `COCO` fill in `iscrowd` and `area` where an annotation that it reads has none.

    Example:
        >>> from convnext_dense.compat.coco_fields import fill_missing_fields
        >>> fill_missing_fields()
    """
    if COCO.createIndex is not _fill_and_index:
        COCO.createIndex = _fill_and_index


_index = COCO.createIndex


def _fill_and_index(self: COCO) -> None:
    for annotation in self.dataset.get('annotations') or []:
        if annotation.get('area') is None or annotation.get('iscrowd') is None:
            fill(annotation)
    _index(self)


def fill(annotation: dict) -> None:
    """Fill in `iscrowd`, as 0, and `area`, as COCO counts it: of the segmentation, otherwise of the box.

    What cannot be computed stays missing, for whoever checks the file to say so.

    Args:
        annotation: A COCO annotation, which is changed.

    Example:
        >>> annotation = dict(bbox=[2, 2, 4, 3])
        >>> fill(annotation)
        >>> annotation
        {'bbox': [2, 2, 4, 3], 'iscrowd': 0, 'area': 12}
    """
    if annotation.get('iscrowd') is None:
        annotation['iscrowd'] = 0
    if annotation.get('area') is None:
        try:
            annotation['area'] = _area(annotation)
        except (KeyError, TypeError, ValueError):
            annotation.pop('area', None)


def _area(annotation: dict) -> float:
    segmentation: Any = annotation.get('segmentation')
    if isinstance(segmentation, dict):
        counts = segmentation['counts']
        # Run lengths alternate between background and object, and begin with the background.
        return float(sum(counts[1::2]) if isinstance(counts, list) else rle.area(segmentation))
    if segmentation:
        return float(sum(_polygon_area(polygon) for polygon in segmentation))
    _, _, width, height = annotation['bbox']
    return width * height


def _polygon_area(coordinates: Sequence[float]) -> float:
    x, y = np.reshape(coordinates, (-1, 2)).astype(float).T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
