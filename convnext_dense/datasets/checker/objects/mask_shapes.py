"""Measures the masks of an annotation file: extents, areas, and polygons that cross themselves."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import shapely
from pycocotools import mask as coco_mask

from convnext_dense.datasets.annotations.coco_file import CocoFile
from convnext_dense.datasets.annotations.masks import decode_run_lengths
from convnext_dense.datasets.formats.coco.coco_json import REFUSED, read_polygons, read_segmentation

# How many annotations are measured at a time.
CHUNK = 50_000
# All edges of a polygon of more points are too many pairs.
MANY_POINTS = 3000
# How many pairs of edges are compared at a time.
PAIRS = 1_000_000
# Polygons below this area may have no pixel.
SMALL = 2.0


class MaskShapes:
    """The shapes of the masks of some annotations.

    Args:
        file: The file.
        rows: The annotations, whose segmentations can be read.

    Attributes:
        is_measured: For each annotation of the file, whether it has a mask that was measured.
        extents: The left, upper, right and lower end of each mask.
        least_area, most_area: Between these its area is, in pixels. Polygons may overlap, and they run through the
            centers of the outer pixels or along their edges.
        is_crossing: Whether a polygon of it crosses itself.
        is_empty: Whether it has no pixel.
    """

    def __init__(self, file: CocoFile, rows: Sequence[int]) -> None:
        self.file = file
        count = len(file.annotations)
        self.is_measured, self.is_crossing, self.is_empty = np.zeros((3, count), dtype=bool)
        self.extents = np.full((count, 4), np.nan)
        self.least_area, self.most_area = np.zeros((2, count))
        for start in range(0, len(rows), CHUNK):
            self._measure(rows[start : start + CHUNK])

    def _measure(self, rows: Sequence[int]) -> None:
        owners, lengths, coordinates = [], [], []
        for row in rows:
            for polygon in self._polygons(row):
                owners.append(row)
                # Closed, so that three points make a ring.
                lengths.append(len(polygon) // 2 + 1)
                coordinates.append([*polygon, *polygon[:2]])
        if not owners:
            return
        points = np.fromiter(chain.from_iterable(coordinates), np.float64).reshape(-1, 2)
        lengths = np.array(lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        owners = np.array(owners)
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        self.is_measured[owners] = True
        extents = self.extents
        np.fmin.at(extents[:, :2], owners, low)
        np.fmax.at(extents[:, 2:], owners, high)
        polygons = shapely.polygons(shapely.linearrings(points, indices=np.repeat(np.arange(len(starts)), lengths)))
        areas = shapely.area(polygons)
        np.maximum.at(self.least_area, owners, areas)
        np.add.at(self.most_area, owners, areas + shapely.length(polygons))
        invalid = np.flatnonzero(~shapely.is_valid(polygons))
        for length in np.unique(lengths[invalid]):
            alike = invalid[lengths[invalid] == length]
            for part in np.array_split(alike, -(-len(alike) * length**2 // PAIRS)):
                crossing = part[_cross(points[starts[part, None] + np.arange(length)])]
                self.is_crossing[owners[crossing]] = True
        for row in np.unique(owners[areas < SMALL]):
            self.is_empty[row] = not self._pixels(row)

    def _polygons(self, row: int) -> Iterator[list[float]]:
        """Yield the polygons of an annotation that have three points or more; measure run lengths here."""
        value = self.file.columns['segmentation'][row]
        try:
            polygons = read_polygons(value)
        except (TypeError, *REFUSED):
            polygons = read_segmentation(value)
        if isinstance(polygons, dict):
            self._measure_run_lengths(row, polygons)
        elif isinstance(polygons, list):
            yield from (polygon for polygon in polygons if len(polygon) >= 6 and not len(polygon) % 2)

    def _measure_run_lengths(self, row: int, segmentation: dict) -> None:
        counts = segmentation['counts']
        counts = decode_run_lengths(counts) if isinstance(counts, str) else np.array(counts, dtype=np.int64)
        if counts is None:
            return
        height = int(segmentation['size'][0])
        ends = np.cumsum(counts)
        starts, ends = ends[:-1:2], ends[1::2] - 1
        is_run = ends >= starts
        starts, ends = starts[is_run], ends[is_run]
        self.is_measured[row] = True
        area = float((ends - starts + 1).sum())
        self.least_area[row] = self.most_area[row] = area
        if not area:
            self.is_empty[row] = True
            return
        # Runs go down the columns; one that goes on in the next column has its last and first row.
        wraps = (starts // height != ends // height).any()
        top, bottom = (0, height) if wraps else ((starts % height).min(), (ends % height).max() + 1)
        self.extents[row] = starts[0] // height, top, ends[-1] // height + 1, bottom

    def _pixels(self, row: int) -> int:
        width, height = map(int, self.file.sizes[self.file.rows[row]])
        polygons: Any = list(self._polygons(row))
        return int(coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))))


def _cross(points: np.ndarray) -> np.ndarray:
    """Return whether two edges of each polygon cross, rather than touch, as those of contours do.

    Args:
        points: Polygons of as many points each, of shape (polygons, points, 2).
    """
    if points.shape[1] > MANY_POINTS:
        reasons = shapely.is_valid_reason(shapely.polygons(points))
        return np.array([reason.startswith('Self-intersection') for reason in reasons])
    edges = np.roll(points, -1, axis=1) - points
    to_points = points[:, None] - points[:, :, None]
    # On which side of each edge each point is: of shape (polygons, edges, points).
    sides = np.sign(edges[:, :, None, 0] * to_points[..., 1] - edges[:, :, None, 1] * to_points[..., 0]).astype(np.int8)
    parts = sides * np.roll(sides, -1, axis=2) < 0
    return np.any(parts & parts.transpose(0, 2, 1), axis=(1, 2))
