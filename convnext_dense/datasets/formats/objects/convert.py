"""Writes a dataset of objects as files of COCO's form, once."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from pycocotools import mask as coco_mask

from convnext_dense.datasets.formats.objects.sources import AnnotatedImage, Object, ObjectDataset, Source
from convnext_dense.datasets.formats.whole_files import locked_folder, size_and_time, write_whole
from convnext_dense.regular_files import read_bytes
from convnext_dense.version import __version__

# What is read or written in another way gets another folder.
VERSION = 3


def convert_objects(data: ObjectDataset, folder: Path) -> tuple[dict[str, Path], Path, list[str]]:
    """Write an annotation file of COCO's form for each split, unless the same were written before.

    Args:
        data: The dataset.
        folder: Where to write. The files are in a folder whose name depends on their content.

    Returns:
        The files by their splits, the folder that the names of images are relative to, and sentences on what cannot be
        read, which is left out.

    Raises:
        UsageError: If the files cannot be written.
    """
    root = _common_folder([source.image for split in data.splits.values() for source in split])
    place = folder / _key(data)
    files = {name: place / f'{name}.json' for name in data.splits}
    faults_file = place / 'faults.json'
    with locked_folder(place):
        if not all(file.is_file() for file in (faults_file, *files.values())):
            read = {name: list(_read(data, split)) for name, split in data.splits.items()}
            images = [image for split in read.values() for _, image in split]
            names = data.classes or sorted({found.name for image in images for found in image.objects})
            faults = []
            for name, split in read.items():
                content = _coco(split, names, root)
                write_whole(files[name], json.dumps(content))
                faults += [
                    f'{source.annotations or source.image}: {f}' for source, image in split for f in image.faults
                ]
            write_whole(faults_file, json.dumps(faults))
    return files, root, json.loads(faults_file.read_text(encoding='utf-8'))


def _common_folder(images: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([image.parent.absolute() for image in images]))


def _key(data: ObjectDataset) -> str:
    """Return what tells datasets apart: their annotations' content, and the names, sizes and times of images."""
    digest = hashlib.blake2b(digest_size=8)
    said = (__version__, VERSION, data.format, data.classes, data.settings, list(data.splits))
    digest.update(json.dumps(said, default=str).encode())
    for split in data.splits.values():
        for source in split:
            digest.update(f'\n{source.image.absolute()}{size_and_time(source.image)}'.encode(errors='surrogateescape'))
            for file in source.files:
                digest.update(f'\n{file}'.encode(errors='surrogateescape'))
                digest.update(read_bytes(file))
    return digest.hexdigest()


def _read(data: ObjectDataset, split: Sequence[Source]) -> Iterator[tuple[Source, AnnotatedImage]]:
    for source in split:
        try:
            yield source, data.read(source)
        except (ValueError, OSError) as error:
            yield source, AnnotatedImage(0, 0, faults=[str(error)])


def _coco(split: Sequence[tuple[Source, AnnotatedImage]], names: Sequence[str], root: Path) -> dict:
    categories = {name: i for i, name in enumerate(names, start=1)}
    images, annotations = [], []
    for source, image in split:
        # One of no size could not be read.
        if not image.width:
            continue
        name = source.image.absolute().relative_to(root).as_posix()
        entry = dict(id=len(images) + 1, file_name=name, width=image.width, height=image.height)
        images.append(entry | (dict(annotation_file=str(source.annotations)) if source.annotations else {}))
        for found in image.objects:
            entry = _annotation(found)
            entry.update(id=len(annotations) + 1, image_id=len(images), category_id=categories[found.name])
            annotations.append(entry)
    listed = [dict(id=i, name=name) for name, i in categories.items()]
    return dict(images=images, annotations=annotations, categories=listed)


def _annotation(found: Object) -> dict:
    box = [round(number, 3) for number in found.box]
    entry: dict[str, object] = dict(bbox=box, area=box[2] * box[3], iscrowd=int(found.is_ignored))
    if found.segmentation is not None:
        entry['segmentation'] = found.segmentation
        entry['area'] = _area(found.segmentation)
    return entry


def _area(segmentation: list[list[float]] | dict) -> float:
    if isinstance(segmentation, dict):
        return float(coco_mask.area(cast(Any, segmentation)))
    return sum(_polygon_area(polygon) for polygon in segmentation)


def _polygon_area(polygon: Sequence[float]) -> float:
    xs, ys = polygon[::2], polygon[1::2]
    return abs(sum(x * ys[i - 1] - xs[i - 1] * y for i, (x, y) in enumerate(zip(xs, ys, strict=True)))) / 2
