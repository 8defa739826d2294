"""Mends one annotation."""

from collections.abc import Collection
from typing import Any

import numpy as np
import shapely
from pycocotools import mask as coco_mask

# Below this, in pixels, mmdet drops a box.
SMALLEST = 1.0


def mend_annotation(
    entry: dict, kinds: Collection[str], size: tuple[float, float], needs_masks: bool
) -> tuple[dict | None, list[tuple[str, str]]]:
    """Return an annotation without some of its faults, or None if nothing is left of it, and what was done.

    Args:
        entry: The annotation, which stays as it is.
        kinds: The kinds of faults that it has.
        size: Its image's width and height.
        needs_masks: Whether it is of no use without a mask.

    Example:
        >>> entry = dict(bbox=[90, 10, 20, 20], area=400)
        >>> mend_annotation(entry, ['box-overhang'], (100, 100), needs_masks=False)
        ({'bbox': [90, 10, 10, 20], 'area': 200}, [('cut off', 'box-overhang')])
    """
    entry, notes = dict(entry), []
    for kind in ('polygon', 'run-lengths'):
        if kind in kinds:
            if needs_masks:
                return None, [('deleted', kind)]
            entry.pop('segmentation', None)
            notes.append(('deleted the masks of', kind))
    if 'polygon-short' in kinds:
        entry['segmentation'] = [part for part in entry['segmentation'] if len(part) >= 6 and not len(part) % 2]
        notes.append(('deleted polygons of', 'polygon-short'))
    if 'polygon-outside' in kinds and isinstance(entry.get('segmentation'), list):
        entry['segmentation'] = _cut_polygons(entry['segmentation'], size)
        notes.append(('cut off', 'polygon-outside'))
    if entry.get('segmentation') == []:
        del entry['segmentation']
        if needs_masks:
            return None, [('deleted', notes[-1][1])]
    if 'box-overhang' in kinds:
        _cut_box(entry, size)
        notes.append(('cut off', 'box-overhang'))
    if min(entry['bbox'][2:]) < SMALLEST:
        return None, [('deleted', 'no-area')]
    if not {'area', 'no-area', 'polygon-outside'}.isdisjoint(kinds):
        entry['area'] = _area(entry, size)
        notes += [('worked out the area of', kind) for kind in ('area', 'no-area') if kind in kinds]
        if not entry['area'] > 0:
            return None, [('deleted', 'no-area')]
    return entry, notes


def _cut_box(entry: dict, size: tuple[float, float]) -> None:
    x, y, width, height = entry['bbox']
    left, top = max(x, 0), max(y, 0)
    box = [left, top, min(x + width, size[0]) - left, min(y + height, size[1]) - top]
    # An area that was the box's is so again.
    if 'segmentation' not in entry and abs((entry.get('area') or 0) - width * height) < 1:
        entry['area'] = box[2] * box[3]
    entry['bbox'] = box


def _cut_polygons(polygons: list[list[float]], size: tuple[float, float]) -> list[list[float]]:
    kept = []
    for polygon in polygons:
        points = np.array(polygon, dtype=np.float64).reshape(-1, 2)
        if (points >= 0).all() and (points <= size).all():
            kept.append(polygon)
            continue
        shape = shapely.Polygon(points)
        if not shape.is_valid:
            # What is inside of one that crosses itself is not known: its points are moved to the border.
            kept.append(np.clip(points, 0, size).ravel().tolist())
            continue
        parts = shapely.get_parts(shapely.intersection(shape, shapely.box(0, 0, *size)))
        kept += [
            shapely.get_coordinates(part)[:-1].round(2).ravel().tolist()
            for part in parts
            if part.geom_type == 'Polygon'
        ]
    return kept


def _area(entry: dict, size: tuple[float, float]) -> float:
    segmentation: Any = entry.get('segmentation')
    if not segmentation:
        return entry['bbox'][2] * entry['bbox'][3]
    if isinstance(segmentation, dict) and isinstance(segmentation['counts'], str):
        encoded: Any = {**segmentation, 'counts': segmentation['counts'].encode()}
        return float(coco_mask.area(encoded))
    found = coco_mask.frPyObjects(segmentation, int(size[1]), int(size[0]))
    return float(coco_mask.area(coco_mask.merge(found) if isinstance(found, list) else found))
