"""Boxes of a COCO annotation file: which have a wrong form, and which mmdet drops."""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from convnext_dense.checks.annotations.coco_file import NUMBERS, CocoFile
from convnext_dense.checks.annotations.wording import subject
from convnext_dense.checks.check import Finding

# From this part of boxes that leave their image on, all of which fit as corners, they are taken to be corners.
PART_OF_CORNERS = 0.25


def find_wrong_boxes(file: CocoFile) -> Iterator[Finding]:
    """Find boxes that are not four finite numbers, which stop mmdet."""
    boxes = [annotation.get('bbox') for annotation in file.annotations]
    if _are_fours(boxes) and set(map(type, chain.from_iterable(boxes))) <= NUMBERS and _are_finite(boxes):
        return
    by_fault: dict[str, list] = {}
    for annotation, box in zip(file.annotations, boxes, strict=True):
        if not annotation.get('ignore') and (fault := _fault(annotation, box)):
            by_fault.setdefault(fault, []).append((annotation['id'], box))
    for fault, wrong in by_fault.items():
        shown = '' if fault.startswith(('no ', "'bbox' null")) else f': {wrong[0][1]!r:.60}'
        who = subject('annotation', [annotation_id for annotation_id, _ in wrong], len(boxes))
        yield Finding(f'{file.path}: {who} {fault}{shown}; it must be [x, y, width, height] in pixels.')


def _are_fours(boxes: list) -> bool:
    return set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}


def _are_finite(boxes: list) -> bool:
    try:
        return bool(np.isfinite(_array(boxes)).all())
    except OverflowError:
        return False


def _array(boxes: list) -> np.ndarray:
    flat = np.fromiter(chain.from_iterable(boxes), dtype=np.float64, count=4 * len(boxes))
    return flat.reshape(-1, 4)


def _fault(annotation: dict, box: object) -> str | None:
    if box is None:
        return "'bbox' null" if 'bbox' in annotation else "no 'bbox'"
    if not isinstance(box, list):
        return "a 'bbox' that is no list"
    if len(box) != 4:
        return f"a 'bbox' of {len(box)} numbers"
    if not {type(value) for value in box} <= NUMBERS:
        return "a 'bbox' not of numbers"
    return None if _are_finite([box]) else "a 'bbox' that is not finite"


class Objects:
    """The objects of a file whose fields and boxes can be read, and which of them mmdet drops.

    Args:
        file: The file.

    Attributes:
        no_image, no_category, no_area, outside: For each annotation, whether it is dropped for this.
        is_left: For each annotation, whether it is not dropped for any of these.
    """

    def __init__(self, file: CocoFile) -> None:
        self.file = file
        count = len(file.annotations)
        self.is_ignored = file.flags('ignore')
        self.no_image = file.rows < 0
        self.no_category = ~file.in_categories(set(file.category_names))
        # An ignored one may have any box.
        boxes = [
            (0, 0, 0, 0) if is_ignored else annotation['bbox']
            for annotation, is_ignored in zip(file.annotations, self.is_ignored.tolist(), strict=True)
        ]
        self.boxes = _array(boxes)
        area = np.array(
            [value if type(value := annotation.get('area')) in NUMBERS else 1 for annotation in file.annotations],
            dtype=np.float64,
        )
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

    def find(self) -> Iterator[Finding]:
        """Find what is dropped, and boxes that seem to be corners or fractions."""
        file = self.file
        for mask, what in (
            (self.no_image, 'an image_id that no image has' + self._mixed_ids()),
            (self.no_category & ~self.no_image, 'a category_id that no category has'),
            (self.no_area, 'no area (a bbox below 1 px, or an area that is not positive)'),
            (self.outside, 'a bbox outside of the image'),
        ):
            if mask.any():
                ids = file.ids_where(mask)
                who = subject('annotation', ids, len(file.annotations))
                # mmdet's panoptic dataset looks each category up.
                is_error = file.kind == 'panoptic' and mask is not self.no_image and 'category_id' in what
                it = 'it' if len(ids) == 1 else 'them'
                end = 'mmdet cannot read it' if is_error else f'mmdet drops {it}'
                yield Finding(f'{file.path}: {who} {what}; {end}.', is_error)
        yield from self._form()

    def _mixed_ids(self) -> str:
        kinds = [{type(value) for value in values} for values in (self._annotated_ids(), self.file.image_ids)]
        if kinds[0] and kinds[1] and not kinds[0] & kinds[1] and str in kinds[0] | kinds[1]:
            return ': it is a text in one place and a number in the other'
        return ''

    def _annotated_ids(self) -> list:
        return [annotation['image_id'] for annotation in self.file.annotations]

    def _form(self) -> Iterator[Finding]:
        is_read = ~self.is_ignored & ~self.no_image
        if not is_read.any():
            return
        boxes = self.boxes[is_read]
        first = self.file.ids_where(is_read)[0]
        shown = f'such as {boxes[0].tolist()} of annotation {first!r}'
        if (boxes >= 0).all() and (boxes <= 1).all():
            yield Finding(f'{self.file.path}: all boxes are between 0 and 1, {shown}; they must be in pixels.')
            return
        x, y, right, bottom = boxes.T
        width, height = self.file.sizes[self.file.rows[is_read]].T
        fit_as_corners = (right > x) & (bottom > y) & (right <= width) & (bottom <= height)
        leaves = self.overhang[is_read] > 1
        if leaves.mean() > PART_OF_CORNERS and fit_as_corners.all():
            count = int(leaves.sum())
            yield Finding(
                f'{self.file.path}: {count} of {len(boxes)} boxes leave their image, {shown}, and all would fit as corners; '
                'bbox is [x, y, width, height], not [x1, y1, x2, y2].',
                is_error=False,
            )
