"""What is wrong with the objects of an annotation file, besides what its boxes and masks say by themselves."""

from collections.abc import Iterator

import numpy as np
from msgspec import UNSET, Raw

from convnext_dense.datasets.annotations.coco_file import CocoFile, repeated
from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.datasets.annotations.masks import Masks
from convnext_dense.datasets.annotations.objects import Objects
from convnext_dense.datasets.checker.objects.mask_shapes import MaskShapes
from convnext_dense.datasets.checker.objects.near_boxes import near_boxes

# So far, in pixels, a box or a polygon may leave its image, and by so much a box may differ from its mask's.
MARGIN, BOX_MARGIN = 1.0, 3.0
# A box so narrow, in pixels, is that of a line.
THIN = 2.0
# Below this overlap a box is not its mask's.
OVERLAP = 0.75
# Areas that differ by this factor, and by some pixels, are others. A polygon has no holes, which areas often count.
AREA_FACTOR, AREA_MARGIN = 2.0, 4.0
# Boxes are the same if they agree to this part of a pixel.
STEPS = 100


def find_in_categories(file: CocoFile) -> Iterator[Fault]:
    """Find categories of one name."""
    names = [category['name'] for category in file.categories]
    chosen = set(repeated(names))
    rows = [row for row, name in enumerate(names) if name in chosen]
    if rows:
        yield Fault('duplicate-category-name', '', rows, 'category')


def find_in_boxes(objects: Objects) -> Iterator[Fault]:
    """Find boxes that are partly outside or (almost) there more than once, and areas that are not finite."""
    file = objects.file
    if not len(file.annotations):
        return
    x, y = objects.boxes[:, :2].T
    leaves = objects.is_left & ((objects.overhang > MARGIN) | (x < -MARGIN) | (y < -MARGIN))
    yield _fault('box-overhang', leaves)
    rows = np.flatnonzero(objects.is_left & ~file.flags('iscrowd'))
    boxes = np.column_stack([file.rows[rows], np.rint(objects.boxes[rows] * STEPS).astype(np.int64)])
    numbers = {category_id: number for number, category_id in enumerate(file.category_names)}
    labels = np.array([numbers[file.columns['category_id'][row]] for row in rows], dtype=np.int64)
    is_again = _is_again(np.column_stack([boxes, labels]))
    yield Fault('duplicate-box', '', rows[is_again].tolist())
    groups = np.column_stack([file.rows[rows], labels])
    yield Fault('near-duplicate-box', '', rows[near_boxes(groups, objects.boxes[rows]) & ~is_again].tolist())
    is_number = np.array([isinstance(area, int | float) for area in file.columns['area']], dtype=bool)
    yield _fault('area', objects.is_left & is_number & ~np.isfinite(objects.area))
    first = rows[~is_again]
    yield Fault('two-classes', '', first[_is_again(boxes[~is_again])].tolist())


def find_in_masks(objects: Objects, needs_masks: bool) -> Iterator[Fault]:
    """Find masks that cannot be read, and those that do not fit their image, their box or their area.

    Args:
        objects: The objects of a file.
        needs_masks: Whether an object without a mask is a fault.
    """
    file = objects.file
    is_read = objects.is_left.copy()
    if not needs_masks:
        for row in np.flatnonzero(is_read):
            is_read[row] = _has_segmentation(file.columns['segmentation'][row])
    masks = Masks(file, is_read, is_scored=True, only_polygons=False, decoded=None)
    faults = list(masks.find())
    yield from faults
    is_read[[row for fault in faults if fault.kind != 'polygon-short' for row in fault.rows]] = False
    shapes = MaskShapes(file, np.flatnonzero(is_read).tolist())
    measured = shapes.is_measured & ~shapes.is_empty
    # Contours of objects as thin as a pixel have no width.
    is_thin = objects.boxes[:, 2:].min(axis=1, initial=np.inf) <= THIN
    yield _fault('mask-empty', shapes.is_empty & ~is_thin)
    yield _fault('polygon-crossing', measured & shapes.is_crossing)
    if not measured.any():
        return
    left, top, right, bottom = shapes.extents.T
    width, height = file.sizes[file.rows].T
    outside = (left < -MARGIN) | (top < -MARGIN) | (right > width + MARGIN) | (bottom > height + MARGIN)
    yield _fault('polygon-outside', measured & outside)
    yield _fault('box-not-of-mask', measured & _is_other_box(objects.boxes, shapes.extents))
    area = objects.area
    is_other = (area < shapes.least_area / AREA_FACTOR - AREA_MARGIN) | (
        area > shapes.most_area * AREA_FACTOR + AREA_MARGIN
    )
    # Those that are not finite are found as such.
    yield _fault('area', measured & ~shapes.is_crossing & is_other & np.isfinite(area))


def find_in_images(file: CocoFile, objects: Objects) -> Iterator[Fault]:
    """Find images that have several entries, and those without objects."""
    names = [image['file_name'] for image in file.images]
    entries = {(image['file_name'], image['id']) for image in file.images}
    # Those of one id are found as such.
    chosen = set(repeated([name for name, _ in entries]))
    yield Fault('duplicate-file-name', '', [row for row, name in enumerate(names) if name in chosen], 'image')
    counts = np.bincount(file.rows[~objects.no_image], minlength=len(file.images))
    last = set(file.image_rows.values())
    empty = [row for row in np.flatnonzero(counts == 0).tolist() if row in last]
    # Of a split without any, it is said as a whole.
    yield Fault('image-without-objects', '', empty if counts.any() else [], 'image')


def _has_segmentation(value: object) -> bool:
    if isinstance(value, Raw):
        return bytes(value) not in (b'', b'[]', b'[[]]', b'null')
    return value not in (UNSET, None, [], [[]])


def _is_other_box(boxes: np.ndarray, extents: np.ndarray) -> np.ndarray:
    corners = np.column_stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    sides = np.minimum(corners, extents)[:, 2:] - np.maximum(corners, extents)[:, :2]
    common = np.clip(sides, 0, None).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + (extents[:, 2:] - extents[:, :2]).prod(axis=1) - common
    far = np.abs(corners - extents).max(axis=1) > BOX_MARGIN
    return far & (common < OVERLAP * union)


def _is_again(keys: np.ndarray) -> np.ndarray:
    """Return which rows an earlier row equals."""
    is_again = np.ones(len(keys), dtype=bool)
    is_again[np.unique(keys, axis=0, return_index=True)[1]] = False
    return is_again


def _fault(kind: str, mask: np.ndarray) -> Fault:
    return Fault(kind, '', np.flatnonzero(mask).tolist())
