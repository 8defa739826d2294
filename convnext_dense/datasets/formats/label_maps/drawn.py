"""Draws label maps of objects' masks, so that a segmenter can learn them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from convnext_dense.datasets.formats.coco.coco_json import Annotation, coco_content, read_json, read_segmentation
from convnext_dense.datasets.formats.description import DataDescription, MapDescription
from convnext_dense.datasets.formats.label_maps.convert import ENDING, save_map, write_maps
from convnext_dense.datasets.formats.label_maps.values import IGNORED
from convnext_dense.datasets.formats.objects.sources import polygon_box
from convnext_dense.errors import UsageError, describe
from convnext_dense.wording import counted

# What a pixel of no object is called, unless a class is.
BACKGROUND = ('background', 'no object', 'nothing at all')


def draw_maps(data: DataDescription, folder: Path) -> MapDescription:
    """Return a dataset of objects with masks as one of label maps: 0 is the background, and 1 the first class.

    Where masks overlap, the smaller one is on top.

    Args:
        data: The dataset.
        folder: Where to write the maps.

    Raises:
        UsageError: If a mask cannot be drawn.

    Example:
        >>> draw_maps(describe_data('data/nuclei', 'instances', 'run'), Path('run/converted_data'))  # doctest: +SKIP
    """
    background = next(name for name in BACKGROUND if name not in data.classes)
    contents = [Path(split.annotations).read_bytes() for split in data.splits.values()]
    key = ('drawn', data.classes, [hashlib.blake2b(content).hexdigest() for content in contents])
    images = {name: Path(split.images) for name, split in data.splits.items()}

    def maps(name: str) -> Iterable[tuple[Path, Callable[[Path], str]]]:
        return _maps(Path(data.splits[name].annotations), data.classes)

    splits, _ = write_maps(images, maps, folder, key)
    remarks = [
        *data.remarks,
        f'Label maps were drawn of the masks of {data.format}, and are in {folder}; a pixel of none is {background!r}.',
    ]
    return MapDescription(data.place, (background, *data.classes), splits, '', ENDING, False, remarks)


def _maps(file: Path, classes: Sequence[str]) -> Iterable[tuple[Path, Callable[[Path], str]]]:
    content = coco_content(read_json(file, is_coco=True))
    if content is None:
        raise UsageError(f"data: {file} has not COCO's form.")
    if len(classes) >= IGNORED:
        raise UsageError(
            f'data: {file} has {counted(len(classes), "class")}; label maps can have {IGNORED - 1} and a background.'
        )
    numbers = {name: i for i, name in enumerate(classes, start=1)}
    labels = {c['id']: numbers[c['name']] for c in content.categories if c['name'] in numbers}
    objects: dict[object, list[Annotation]] = {}
    for annotation in content.annotations:
        if annotation.category_id in labels:
            objects.setdefault(annotation.image_id, []).append(annotation)
    for image in content.images:
        found = objects.get(image.get('id'), [])
        yield Path(str(image.get('file_name'))), partial(_draw, file, image, found, labels)


def _draw(file: Path, image: dict, objects: Sequence[Annotation], labels: Mapping[object, int], place: Path) -> str:
    try:
        height, width = int(image['height']), int(image['width'])
        masks = [(_mask(annotation, height, width), labels[annotation.category_id]) for annotation in objects]
        label_map = np.zeros((height, width), np.uint8)
        for mask, label in sorted(masks, key=lambda found: -found[0].sum()):
            label_map[mask] = label
    except Exception as error:
        name = image.get('file_name')
        raise UsageError(f'data: {file}: the masks of {name} cannot be drawn: {describe(error)}.') from error
    save_map(place, label_map)
    return ''


def _mask(annotation: Annotation, height: int, width: int) -> np.ndarray:
    segmentation: Any = read_segmentation(annotation.segmentation)
    if isinstance(segmentation, dict):
        is_compressed = not isinstance(segmentation['counts'], list)
        rle: Any = segmentation if is_compressed else coco_mask.frPyObjects(cast(Any, segmentation), height, width)
    else:
        if not all(np.isfinite(polygon).all() for polygon in segmentation):
            raise ValueError('a polygon has numbers that are infinite or none')
        if _are_through_pixels(segmentation, annotation.bbox):
            outlines = [np.array(polygon, np.int32).reshape(-1, 1, 2) for polygon in segmentation]
            return cv2.fillPoly(np.zeros((height, width), np.uint8), outlines, 1).astype(bool)
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    return coco_mask.decode(rle).astype(bool)


def _are_through_pixels(polygons: Sequence[Sequence[float]], box: object) -> bool:
    """Return whether polygons go through the border's pixels, as OpenCV outlines a mask, and not around them.

    Their corners are whole numbers then, and the mask's box is a pixel larger than they are.
    """
    if not isinstance(box, list) or not all(float(number).is_integer() for polygon in polygons for number in polygon):
        return False
    x, y, width, height = polygon_box(polygons)
    return box == [x, y, width + 1, height + 1]
