"""Recognizes datasets in Pascal VOC's format: an XML file for each image.

Reference:
    Everingham et al., "The Pascal Visual Object Classes Challenge: development kit".
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from convnext_dense.datasets.formats.objects.masks import encode_mask, read_pixels
from convnext_dense.datasets.formats.objects.pairing import Pairing, pair_images
from convnext_dense.datasets.formats.objects.sources import (
    AnnotatedImage,
    Object,
    ObjectDataset,
    Source,
    image_size,
)
from convnext_dense.datasets.formats.places import SPLITS, folders, without_flag
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import read_bytes, read_text
from convnext_dense.wording import counted

ANNOTATIONS, IMAGES, MASKS = 'Annotations', 'JPEGImages', 'SegmentationObject'
# Other XML files than annotations are few.
FEW = 50
FEWEST_POLYGON_NUMBERS = 6
# The border of an object in a map of objects.
BORDER = 255


def find_voc(root: Path, work_dir: str, with_masks: bool) -> ObjectDataset | None:
    """Return a dataset of Pascal VOC's format, or None if it is none.

    Args:
        root: A folder with XML files: VOC's own layout of ``Annotations``, ``JPEGImages`` and ``ImageSets``, one or
            several of them; XML files next to images; or any folders whose names say which split they are.
        work_dir: A folder to leave out.
        with_masks: Whether objects are to have the masks that are in ``SegmentationObject``. Only the images that have
            one are taken then, if there are any.

    Raises:
        UsageError: If it is one, and files are missing or contradict each other.

    Example:
        >>> find_voc(Path('docs'), '', with_masks=False) is None
        True
    """
    if not root.is_dir():
        return None
    paths = sorted(path for folder in folders(root, work_dir) for path in folder.glob('[!.]*.[xX][mM][lL]'))
    paths = [path for path in paths if _is_voc(path)] if len(paths) < FEW else paths
    if not paths or not _is_voc(paths[0]):
        return None
    has_masks = with_masks and any((path.parent.parent / MASKS).is_dir() for path in paths)
    if has_masks:
        paths = [path for path in paths if _object_map(path).is_file()]
    pairing = pair_images(paths, root, work_dir, _named_image)
    if has_masks:
        sources = [replace(source, object_map=_object_map(source.annotation_file)) for source in pairing.sources]
        pairing = replace(pairing, sources=sources)
    splits, remarks = _listed_splits(pairing, root, 'Segmentation' if has_masks else 'Main')
    read = read_voc_with_masks if has_masks else read_voc
    return ObjectDataset('Pascal VOC', splits, read, settings=has_masks, remarks=[*pairing.remarks, *remarks])


def _is_voc(path: Path) -> bool:
    try:
        return _parse(path).tag == 'annotation'
    except (OSError, ValueError):
        # One that is broken is said when it is read.
        return True


def _parse(path: Path) -> ElementTree.Element:
    content = read_bytes(path)
    # A few lines of them can be gigabytes.
    if b'<!ENTITY' in content:
        raise ValueError('it defines entities, which annotations have not.')
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f'it is no XML: {error}.') from error


def _named_image(path: Path) -> str | None:
    """Return the name that an annotation file gives its image."""
    try:
        return _parse(path).findtext('filename')
    except (OSError, ValueError):
        return None


def _object_map(path: Path) -> Path:
    return path.parent.parent / MASKS / f'{path.stem}.png'


def _listed_splits(pairing: Pairing, root: Path, kind: str) -> tuple[dict[str, list[Source]], list[str]]:
    """Return the splits by the lists of ``ImageSets``, or else by the names of folders."""
    found: dict[str, list[Source]] = {}
    by_place = {(source.annotations.parent.parent, source.annotations.stem): source for source in pairing.sources}
    unlisted, missing = set(by_place), []
    homes = sorted({home for home, _ in by_place})
    for home in homes:
        names = ('train', 'val', 'test')
        lists = {name: home / 'ImageSets' / kind / f'{name}.txt' for name in (*names, 'trainval')}
        lists = {name: file for name, file in lists.items() if file.is_file()}
        both = lists.pop('trainval', None)
        if both and not lists.keys() & {'train', 'val'}:
            lists['train'] = both
        for name, file in lists.items():
            for line in _lines(file):
                # A number may be after the name.
                stem = line if (home, line) in by_place else without_flag(line)
                source = by_place.get((home, stem))
                unlisted.discard((home, stem))
                if source:
                    found.setdefault(name, []).append(source)
                else:
                    missing.append(f'{stem} of {file}')
    if not found:
        return pairing.splits(root), []
    remarks = []
    if missing:
        remarks.append(f'left out: {counted(len(missing), "image")} without annotations, such as {missing[0]}.')
    if unlisted:
        remarks.append(
            f'left out: {counted(len(unlisted), "image")} in no list of ImageSets, such as {min(unlisted)[1]}.'
        )
    return {name: found[name] for name in SPLITS if name in found}, remarks


def _lines(file: Path) -> Iterable[str]:
    try:
        lines = read_text(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {file} cannot be read: {error}.') from error
    return dict.fromkeys(line.strip() for line in lines if line.strip())


def read_voc(source: Source) -> AnnotatedImage:
    """Return an image's size and objects. Objects that are marked as difficult are ignored.

    Raises:
        ValueError, OSError: If the annotations, or the image if they do not say its size, cannot be read.
    """
    root = _parse(source.annotation_file)
    try:
        width, height = (int(root.findtext(f'size/{side}', '0')) for side in ('width', 'height'))
    except ValueError:
        width = height = 0
    if width <= 0 or height <= 0:
        width, height = image_size(source.image)
    objects, faults = [], []
    for i, node in enumerate(root.iter('object'), start=1):
        try:
            objects.append(_object(node))
        except ValueError as error:
            faults.append(f'object {i}: {error}')
    return AnnotatedImage(width, height, objects, faults)


def _object(node: ElementTree.Element) -> Object:
    name = (node.findtext('name') or '').strip()
    if not name:
        raise ValueError('it has no name.')
    try:
        corners = [float(node.findtext(f'bndbox/{side}', '')) for side in ('xmin', 'ymin', 'xmax', 'ymax')]
    except ValueError:
        raise ValueError('its bndbox needs numbers as xmin, ymin, xmax and ymax.') from None
    left, top, right, bottom = corners
    if not (math.isfinite(sum(map(abs, corners))) and left <= right and top <= bottom):
        raise ValueError(
            f'xmax and ymax must be larger than xmin and ymin; got {", ".join(f"{c:g}" for c in corners)}.'
        )
    polygon = _polygon(node.find('polygon'))
    is_difficult = (node.findtext('difficult') or '').strip() == '1'
    return Object(name, (left, top, right - left, bottom - top), polygon, is_difficult)


def _polygon(node: ElementTree.Element | None) -> list[list[float]] | None:
    """Return the polygon that some tools, such as Roboflow's, write besides the box: x1, y1, x2, y2, ..."""
    if node is None:
        return None
    points = {(child.tag[0], child.tag[1:]): child.text for child in node}
    order = sorted((number for axis, number in points if axis == 'x' and number.isdigit()), key=int)
    try:
        found = [float(points[axis, number] or '') for number in order for axis in 'xy']
    except (KeyError, ValueError):
        raise ValueError('its polygon needs numbers as x1, y1, x2, y2 and so on.') from None
    if len(found) < FEWEST_POLYGON_NUMBERS:
        raise ValueError(f'its polygon needs three points, and has {len(found) // 2}.')
    if not all(map(math.isfinite, found)):
        raise ValueError('its polygon has numbers that are infinite or none.')
    return [found]


def read_voc_with_masks(source: Source) -> AnnotatedImage:
    """Return an image's size and objects with masks: the first object's are the ones in the map of objects, and so on.

    Raises:
        ValueError, OSError: If a file cannot be read.
    """
    image = read_voc(source)
    path = source.object_map or _object_map(source.annotation_file)
    try:
        values = read_pixels(path)
    except ValueError as error:
        raise ValueError(f'the map of objects {path}: {error}') from error
    if values.shape != (image.height, image.width):
        raise ValueError(f'{path} must have one channel of {image.width} x {image.height} pixels.')
    present = set(np.unique(values).tolist()) - {0, BORDER}
    # Objects that were too small to outline have a box alone.
    faults = [f'{path} has an object {i}, which the annotations have not.' for i in present if i > len(image.objects)]
    objects = [
        Object(found.name, found.box, encode_mask(values == i), found.is_ignored)
        for i, found in enumerate(image.objects, start=1)
        if i in present
    ]
    return AnnotatedImage(image.width, image.height, objects, [*image.faults, *faults])
