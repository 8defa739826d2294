"""Gives objects without a mask their box as one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from convnext_dense.datasets.formats.coco.find import describe_files
from convnext_dense.datasets.formats.description import DataDescription
from convnext_dense.datasets.formats.whole_files import write_whole
from convnext_dense.errors import UsageError


def add_box_masks(data: DataDescription, folder: Path) -> DataDescription:
    """Return a dataset in which each object has a mask: the box of those that have none.

    Args:
        data: The dataset.
        folder: Where to write its annotation files.

    Raises:
        UsageError: If an object has no box, or the files cannot be written.

    Example:
        >>> add_box_masks(describe_data('data/cells', 'boxes', 'run'), Path('run/converted_data'))  # doctest: +SKIP
    """
    raw = {name: Path(split.annotations).read_bytes() for name, split in data.splits.items()}
    place = folder / hashlib.blake2b(b'boxes to masks'.join(raw.values()), digest_size=8).hexdigest()
    files = {name: place / f'{name}.json' for name in raw}
    for name, file in files.items():
        if not file.is_file():
            content = json.loads(raw[name])
            for annotation in content.get('annotations', []):
                if not _has_mask(annotation):
                    annotation['segmentation'] = _as_polygon(_box(annotation, data.splits[name].annotations))
            write_whole(file, json.dumps(content))
    remarks = [*data.remarks, f'Objects without a mask have their box as one; the annotation files are in {place}.']
    images = {name: split.images for name, split in data.splits.items()}
    return replace(describe_files(data.place, data.format, files, images, remarks), classes=data.classes)


def _box(annotation: Mapping, file: str) -> Sequence[float]:
    box = annotation.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(number, int | float) for number in box):
        raise UsageError(
            f'data: {file}: annotation {annotation.get("id")!r:.40} has the bbox {box!r:.60}; it must be x, y, width '
            'and height.'
        )
    return box


def _has_mask(annotation: Mapping) -> bool:
    return annotation.get('segmentation') not in (None, [], [[]])


def _as_polygon(box: Sequence[float]) -> list[list[float]]:
    x, y, width, height = box
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]
