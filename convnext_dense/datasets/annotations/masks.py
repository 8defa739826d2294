"""Segmentations of a COCO annotation file, before pycocotools reads them in C."""

from collections import defaultdict
from collections.abc import Iterator
from math import hypot, inf

import numpy as np

from convnext_dense.datasets.annotations.coco_file import CocoFile
from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.datasets.annotations.wording import subject
from convnext_dense.datasets.formats.coco.coco_json import REFUSED, read_polygons, read_segmentation

# pycocotools takes memory by a polygon's length in pixels, and overflows; no image is as large.
FARTHEST = 1e6
# Of compressed run lengths, a quick check decodes this many.
DECODED = 2000

UNREADABLE = {
    'missing': "no 'segmentation', which the pipeline or the metric reads",
    'form': "a 'segmentation' that is neither a list of polygons [[x1, y1, x2, y2, ...]] nor run lengths",
    'not finite': f'a polygon with a coordinate that is not finite or beyond {FARTHEST:.0f} px, which crashes mmdet',
    'no points': 'a polygon of fewer than two points, which the metric cannot read',
    'fields': "run lengths without 'counts' or 'size'",
    'size': 'run lengths of another size than the image',
    'values': 'run lengths that are negative or no whole numbers',
    'length': 'run lengths that do not add up to the size of the image',
}
IGNORED = {
    'short': 'a polygon of fewer than three points or an odd number of coordinates, which mmdet ignores',
    'no polygon': 'run lengths, which mmdet ignores where a pipeline has poly2mask=False',
}
# The kind of each.
KINDS = {
    'missing': 'no-mask',
    **dict.fromkeys(('form', 'not finite', 'no points'), 'polygon'),
    **dict.fromkeys(('fields', 'size', 'values', 'length'), 'run-lengths'),
    'short': 'polygon-short',
    'no polygon': 'no-polygon',
}


class Masks:
    """What is wrong with the segmentations of a file.

    Args:
        file: The file.
        is_left: For each annotation, whether mmdet reads it.
        is_scored: Whether a metric reads them, besides the pipeline.
        only_polygons: Whether the pipeline has ``poly2mask=False``.
        decoded: How many compressed run lengths to decode; None for all.

    Attributes:
        is_ignored: For each annotation, whether mmdet ignores the object for its segmentation.
    """

    def __init__(
        self,
        file: CocoFile,
        is_left: np.ndarray,
        is_scored: bool,
        only_polygons: bool,
        decoded: int | None = DECODED,
    ) -> None:
        self.file = file
        self.is_ignored = np.zeros(len(file.annotations), dtype=bool)
        self._is_scored = is_scored
        self._only_polygons = only_polygons
        self._decoded = decoded
        self._rows: dict[str, list[int]] = defaultdict(list)
        self._look(is_left)

    def find(self) -> Iterator[Fault]:
        """Find segmentations that cannot be read, and those that are ignored."""
        for fault, what in {**UNREADABLE, **IGNORED}.items():
            if rows := self._rows.get(fault):
                ids = [self.file.columns['id'][row] for row in rows]
                who = subject('annotation', ids, len(self.is_ignored))
                sentence = f'{self.file.path}: {who} {what}.'
                yield Fault(KINDS[fault], sentence, rows, is_error=fault in UNREADABLE, what=what)

    def _look(self, is_left: np.ndarray) -> None:
        compressed = []
        for row in np.flatnonzero(is_left).tolist():
            value = self.file.columns['segmentation'][row]
            if _are_good_polygons(value):
                continue
            segmentation = read_segmentation(value)
            if not segmentation:
                self._rows['missing'].append(row)
            elif type(segmentation) is list:
                self._look_at_polygons(row, segmentation)
            elif type(segmentation) is dict:
                compressed += self._look_at_run_lengths(row, segmentation)
            else:
                self._rows['form'].append(row)
        step = max(1, len(compressed) // self._decoded) if self._decoded else 1
        for row, counts, pixels in compressed[::step]:
            lengths = decode_run_lengths(counts)
            if lengths is None or (lengths < 0).any():
                self._rows['values'].append(row)
            elif lengths.sum() != pixels:
                self._rows['length'].append(row)

    def _look_at_polygons(self, row: int, polygons: list) -> None:
        valid = 0
        for polygon in polygons:
            try:
                norm = hypot(*polygon)
            except TypeError:
                self._rows['form'].append(row)
                return
            except OverflowError:
                norm = inf
            if not norm < FARTHEST and not all(abs(value) < FARTHEST for value in polygon):
                self._rows['not finite'].append(row)
                return
            length = len(polygon)
            if length < 4 and self._is_scored:
                self._rows['no points'].append(row)
                return
            valid += length >= 6 and length % 2 == 0
        if valid < len(polygons):
            self._rows['short'].append(row)
            self.is_ignored[row] = not valid

    def _look_at_run_lengths(self, row: int, segmentation: dict) -> Iterator[tuple[int, str, int]]:
        counts, size = segmentation.get('counts'), segmentation.get('size')
        if not isinstance(counts, list | str) or not isinstance(size, list) or len(size) != 2:
            self._rows['fields'].append(row)
            return
        width, height = self.file.sizes[self.file.rows[row]].tolist()
        if size != [height, width]:
            self._rows['size'].append(row)
            return
        if self._only_polygons and not self.file.columns['iscrowd'][row]:
            self._rows['no polygon'].append(row)
            self.is_ignored[row] = True
        if isinstance(counts, str):
            yield row, counts, int(width * height)
        elif not set(map(type, counts)) <= {int} or min(counts, default=0) < 0:
            self._rows['values'].append(row)
        elif sum(counts) != width * height:
            self._rows['length'].append(row)


def _are_good_polygons(value: object) -> bool:
    """Return whether a segmentation that was not read yet is of polygons that can be drawn."""
    try:
        polygons = read_polygons(value)
        for polygon in polygons:
            # A norm is as large as the largest coordinate, or larger.
            if not hypot(*polygon) < FARTHEST or len(polygon) < 6 or len(polygon) % 2:
                return False
    except (TypeError, OverflowError, *REFUSED):
        return False
    return bool(polygons)


def decode_run_lengths(counts: str) -> np.ndarray | None:
    """Return the run lengths of COCO's compressed form, or None if it is not of that form.

    Five bits a character, a sixth says that the number goes on; from the fourth number on they are differences to the
    number before the last.

    Reference:
        pycocotools, ``common/maskApi.c``, rleFrString.

    Example:
        >>> from pycocotools import mask
        >>> counts = mask.encode(np.asfortranarray(np.eye(4, dtype=np.uint8)))['counts'].decode()
        >>> decode_run_lengths(counts)
        array([0, 1, 4, 1, 4, 1, 4, 1])
    """
    values, value, shift = [], 0, 0
    for code in counts.encode('latin-1', 'replace'):
        digit = code - 48
        if not 0 <= digit < 64 or shift > 30:
            return None
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        values.append(value + (values[-2] if len(values) > 2 else 0))
        value, shift = 0, 0
    return None if shift else np.array(values, dtype=np.int64)
