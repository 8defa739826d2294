"""Boxes of a COCO annotation file: which have a wrong form, and which mmdet drops."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import UNSET

from convnext_dense.datasets.annotations.coco_file import MISSING, NUMBERS, CocoFile
from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.datasets.annotations.wording import subject

# From this part of boxes that leave their image on, all of which fit as corners, they are taken to be corners.
PART_OF_CORNERS = 0.25


def find_wrong_boxes(file: CocoFile) -> Iterator[Fault]:
    """Find boxes that are not four finite numbers, which stop mmdet."""
    if file.boxes is not None:
        return
    by_fault: dict[str, list] = {}
    for row, annotation in enumerate(file.annotations):
        if not annotation.ignore and (fault := _fault(annotation.bbox)):
            by_fault.setdefault(fault, []).append(row)
    for fault, rows in by_fault.items():
        first = file.annotations[rows[0]].bbox
        shown = '' if type(first) in MISSING else f': {first!r:.60}'
        who = subject('annotation', [file.annotations[row].id for row in rows], len(file.annotations))
        yield Fault('box', f'{file.path}: {who} {fault}{shown}; it must be [x, y, width, height] in pixels.', rows)


def _fault(box: object) -> str | None:
    if type(box) in MISSING:
        return "'bbox' null" if box is None else "no 'bbox'"
    if not isinstance(box, list):
        return "a 'bbox' that is no list"
    if len(box) != 4:
        return f"a 'bbox' of {len(box)} numbers"
    if not {type(value) for value in box} <= NUMBERS:
        return "a 'bbox' not of numbers"
    return None if all(abs(value) < 1e300 for value in box) else "a 'bbox' that is not finite"


def _areas(areas: Sequence) -> np.ndarray:
    """Return the areas, and NaN for what is missing, which is filled in later."""
    areas = [None if area is UNSET else area for area in areas]
    try:
        return np.array(areas, dtype=np.float64)
    except OverflowError:
        return np.array([min(area or 0, 1e300) for area in areas])


class Objects:
    """The objects of a file whose fields and boxes can be read, and which of them mmdet drops.

    Args:
        file: The file.

    Attributes:
        area: The area of each annotation; NaN where it is missing.
        no_image, no_category, no_area, outside: For each annotation, whether it is dropped for this.
        is_left: For each annotation, whether it is not dropped for any of these.
    """

    def __init__(self, file: CocoFile) -> None:
        self.file = file
        count = len(file.annotations)
        self.is_ignored = file.flags('ignore')
        self.no_image = file.rows < 0
        self.no_category = ~file.in_categories(set(file.category_names))
        # Only ignored ones may have another box.
        self.boxes = np.zeros((count, 4)) if file.boxes is None else file.boxes
        if file.boxes is None:
            for row in np.flatnonzero(~self.is_ignored):
                self.boxes[row] = file.columns['bbox'][row]
        self.area = area = _areas(file.columns['area'])
        x, y, width, height = self.boxes.T
        is_read = ~self.is_ignored & ~self.no_image
        self.no_area = is_read & ((width < 1) | (height < 1) | (area <= 0))
        self.overhang = np.zeros(count)
        self.outside = np.zeros(count, dtype=bool)
        if len(file.images):
            image_width, image_height = file.sizes[file.rows].T
            self.overhang = np.maximum(x + width - image_width, y + height - image_height)
            inside_x = np.minimum(x + width, image_width) - np.maximum(x, 0)
            inside_y = np.minimum(y + height, image_height) - np.maximum(y, 0)
            # A panoptic dataset does not look whether a segment's box is inside of the image.
            self.outside = is_read & ~self.no_area & ((inside_x <= 0) | (inside_y <= 0)) & (file.kind != 'panoptic')
        self.is_left = is_read & ~self.no_area & ~self.outside & ~self.no_category

    def find(self) -> Iterator[Fault]:
        """Find what is dropped, and boxes that seem to be corners or fractions."""
        file = self.file
        for kind, mask, what in (
            ('unknown-image', self.no_image, 'an image_id that no image has' + self._mixed_ids()),
            ('unknown-category', self.no_category & ~self.no_image, 'a category_id that no category has'),
            ('no-area', self.no_area, 'no area (a bbox below 1 px, or an area that is not positive)'),
            ('box-outside', self.outside, 'a bbox outside of the image'),
        ):
            if mask.any():
                ids = file.ids_where(mask)
                who = subject('annotation', ids, len(file.annotations))
                # mmdet's panoptic dataset looks each category up.
                is_error = file.kind == 'panoptic' and mask is not self.no_image and 'category_id' in what
                it = 'it' if len(ids) == 1 else 'them'
                end = 'mmdet cannot read it' if is_error else f'mmdet drops {it}'
                rows = np.flatnonzero(mask).tolist()
                yield Fault(kind, f'{file.path}: {who} {what}; {end}.', rows, is_error=is_error)
        yield from self._form()

    def _mixed_ids(self) -> str:
        kinds = [set(map(type, values)) for values in (self.file.columns['image_id'], self.file.image_ids)]
        if kinds[0] and kinds[1] and not kinds[0] & kinds[1] and str in kinds[0] | kinds[1]:
            return ': it is a text in one place and a number in the other'
        return ''

    def _form(self) -> Iterator[Fault]:
        is_read = ~self.is_ignored & ~self.no_image
        if not is_read.any():
            return
        boxes = self.boxes[is_read]
        first = self.file.ids_where(is_read)[0]
        shown = f'such as {boxes[0].tolist()} of annotation {first!r}'
        if (boxes >= 0).all() and (boxes <= 1).all():
            sentence = f'{self.file.path}: all boxes are between 0 and 1, {shown}; they must be in pixels.'
            yield Fault('box-fractions', sentence, np.flatnonzero(is_read).tolist())
            return
        x, y, right, bottom = boxes.T
        width, height = self.file.sizes[self.file.rows[is_read]].T
        fit_as_corners = (right > x) & (bottom > y) & (right <= width) & (bottom <= height)
        leaves = self.overhang[is_read] > 1
        if leaves.mean() > PART_OF_CORNERS and fit_as_corners.all():
            count = int(leaves.sum())
            sentence = (
                f'{self.file.path}: {count} of {len(boxes)} boxes leave their image, {shown}, and all would fit as '
                'corners; bbox is [x, y, width, height], not [x1, y1, x2, y2].'
            )
            yield Fault('box-corners', sentence, np.flatnonzero(is_read)[leaves].tolist(), is_error=False)
