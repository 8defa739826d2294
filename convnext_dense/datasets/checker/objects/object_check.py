"""Checks the annotation file of a split."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msgspec import UNSET

from convnext_dense.datasets.annotations.coco_file import CocoFile, find_repeated_ids
from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.datasets.annotations.objects import Objects, find_wrong_boxes
from convnext_dense.datasets.checker.findings import DataFinding
from convnext_dense.datasets.checker.image_rules import SplitImages
from convnext_dense.datasets.checker.kinds import ERROR, KINDS, WARNING
from convnext_dense.datasets.checker.objects.object_rules import (
    find_in_boxes,
    find_in_categories,
    find_in_images,
    find_in_masks,
)
from convnext_dense.datasets.checker.splits import ObjectSplit
from convnext_dense.datasets.formats.coco.coco_json import REFUSED, read_polygons, read_segmentation

SHOWN_CHARACTERS = 80
# Kinds of faults that the mask shows.
ABOUT_MASKS = ('polygon-crossing', 'polygon-outside', 'box-not-of-mask', 'area')


class CheckedObjects:
    """The annotation file of a split, and what is wrong with it.

    Args:
        split: The split.

    Attributes:
        file: The annotation file, without the entries that cannot be read.
        objects: Its objects; None if the file cannot be read.
        counts: How many objects of each category mmdet reads.
        findings: What is wrong.
        faults: The same by entries: the file that has them, and the fault.
        images: Its images; None if they were not read.
    """

    def __init__(self, split: ObjectSplit) -> None:
        self.split = split
        self.file = CocoFile(split.annotations)
        self.objects: Objects | None = None
        self.counts: Counter = Counter()
        self.findings: list[DataFinding] = []
        self.faults: list[tuple[CocoFile, Fault]] = []
        self.images: SplitImages | None = None
        for file, fault in self._look():
            if fault.rows or fault.sentence:
                self.faults.append((file, fault))
                self.findings += self.as_findings(file, fault)

    def image_path(self, image: dict) -> str:
        """Return the file of an image's entry."""
        return os.path.join(self.split.images, image['file_name'])

    def _look(self) -> Iterator[tuple[CocoFile, Fault]]:
        whole = self.file
        for fault in whole.faults:
            yield whole, fault
        if any(fault.kind in ('json', 'no-categories') for fault in whole.faults):
            self.file = whole.without([])
            self.file.images = []
            return
        file = whole.without(whole.faults)
        for fault in [*find_repeated_ids(file), *find_in_categories(file)]:
            yield file, fault
        wrong = list(find_wrong_boxes(file))
        for fault in wrong:
            yield file, fault
        self.file = file = file.without(wrong)
        self.objects = objects = Objects(file)
        for fault in [
            *objects.find(),
            *find_in_boxes(objects),
            *find_in_masks(objects, self.split.needs_masks),
            *find_in_images(file, objects),
        ]:
            yield file, fault
        names = file.category_names
        ids = file.columns['category_id']
        self.counts = Counter(names[ids[row]] for row in objects.is_left.nonzero()[0])
        if not file.images:
            yield file, Fault('no-images', f'{file.path}: has no images.')
        elif not self.counts:
            effect = 'there is nothing to train on' if self.split.is_training else 'its AP is -1'
            sentence = f'{file.path}: has no object that mmdet reads; {effect}.'
            yield file, Fault('no-objects', sentence, is_error=self.split.is_training)

    def as_findings(self, file: CocoFile, fault: Fault) -> Iterator[DataFinding]:
        """Yield a finding for each entry that has a fault."""
        level = KINDS[fault.kind].level
        if fault.sentence:
            # What is dropped at one place may stop a run at another.
            level = ERROR if fault.is_error else WARNING
        name, path = self.split.name, file.path
        if not fault.rows and fault.sentence:
            yield DataFinding(fault.kind, path, fault.sentence, name, level=level)
        for row in fault.rows:
            if fault.noun == 'annotation':
                yield self._of_annotation(file, fault, row, level)
                continue
            entry = (file.images if fault.noun == 'image' else file.categories)[row]
            is_image = fault.noun == 'image' and isinstance(entry.get('file_name'), str)
            detail = fault.what or str(entry.get('file_name' if fault.noun == 'image' else 'name', ''))
            image = self.image_path(entry) if is_image else ''
            yield DataFinding(fault.kind, path, detail, name, fault.noun, _id(entry, row), image, None, level)

    def _of_annotation(self, file: CocoFile, fault: Fault, row: int, level: str) -> DataFinding:
        annotation = file.annotations[row]
        details = [fault.what] if fault.what else []
        box = None
        if fault.kind in ('unknown-image', 'unknown-category'):
            field = fault.kind.removeprefix('unknown-') + '_id'
            field = 'category_id' if fault.kind == 'unknown-category' else field
            details.append(f'{field} {getattr(annotation, field)!r}')
        elif fault.kind in ('polygon', 'polygon-short', 'run-lengths'):
            details.append(f'{read_segmentation(annotation.segmentation)!r:.{SHOWN_CHARACTERS}}')
        elif annotation.bbox is not UNSET:
            details.append(f'bbox {_shown(annotation.bbox)}')
        if fault.kind in ('area', 'no-area') and annotation.area is not UNSET:
            details.append(f'area {annotation.area!r}')
        if fault.kind != 'box' and _is_box(annotation.bbox):
            box = [float(value) for value in annotation.bbox]
        image_row = file.image_rows.get(annotation.image_id) if _can_be_key(annotation.image_id) else None
        image = ''
        if image_row is not None:
            entry = file.images[image_row]
            image = self.image_path(entry)
            # What was converted has a file of its own for each image.
            own = f', {entry["annotation_file"]}' if entry.get('annotation_file') else ''
            details.append(f'in {entry["file_name"]}, {entry["width"]}x{entry["height"]} px{own}')
        detail = '; '.join(details)
        return DataFinding(
            fault.kind,
            file.path,
            detail,
            self.split.name,
            'annotation',
            _id(annotation, row),
            image,
            box,
            level,
            polygons=_polygons(annotation.segmentation) if fault.kind in ABOUT_MASKS else (),
        )


def _shown(box: object) -> str:
    if isinstance(box, list) and _is_box(box):
        return f'[{", ".join(f"{value:.6g}" for value in box)}]'
    return f'{box!r:.{SHOWN_CHARACTERS}}'


def _polygons(segmentation: object) -> list[list[float]]:
    try:
        return read_polygons(segmentation)
    except (TypeError, *REFUSED):
        polygons = read_segmentation(segmentation)
        return polygons if isinstance(polygons, list) else []


def _id(entry: object, row: int) -> object:
    found = entry.get('id', UNSET) if isinstance(entry, dict) else entry.id
    return f'number {row + 1}' if found is UNSET else found


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)


def _can_be_key(value: object) -> bool:
    return isinstance(value, int | float | str)


def find_missing_names(checked: CheckedObjects) -> Iterator[DataFinding]:
    """Find images whose file is not there, and file names that leave the folder.

    Args:
        checked: The annotation file.
    """
    split = checked.split
    seen: dict[str, dict[str, str]] = {}
    for image in checked.file.images:
        path = checked.image_path(image)
        place = dict(split=split.name, noun='image', id=image['id'])
        name = os.path.normpath(image['file_name'])
        if os.path.isabs(name) or name.startswith('..'):
            yield DataFinding('file-name-outside', split.annotations, image['file_name'], **place)
        if os.path.exists(path):
            continue
        folder = os.path.dirname(path)
        if folder not in seen:
            seen[folder] = {_folded(other): other for other in _names(folder)}
        other = seen[folder].get(_folded(os.path.basename(path)))
        if other is None:
            yield DataFinding('image-missing', path, 'there is no such file', **place)
        else:
            there = os.path.join(folder, other)
            yield DataFinding('image-name', path, f'the file is named {other}', image=there, **place)


def _names(folder: str) -> list[str]:
    return os.listdir(folder) if Path(folder).is_dir() else []


def _folded(name: str) -> str:
    """Return a name as systems have it that know no case, or write accents as signs of their own."""
    return unicodedata.normalize('NFC', name).casefold()
