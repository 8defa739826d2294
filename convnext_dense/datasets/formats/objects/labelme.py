"""Recognizes datasets in LabelMe's format: a JSON file for each image, with a list of shapes.

Reference:
    https://github.com/wkentaro/labelme
"""

import base64
import io
import math
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from convnext_dense.datasets.formats.class_names import names_file, read_names
from convnext_dense.datasets.formats.objects.masks import encode_mask, read_pixels
from convnext_dense.datasets.formats.objects.pairing import pair_images
from convnext_dense.datasets.formats.objects.sources import AnnotatedImage, Object, ObjectDataset, Source, polygon_box
from convnext_dense.datasets.formats.places import folders
from convnext_dense.regular_files import read_bytes

# Names of what is no object, in LabelMe's own lists of labels.
NO_OBJECTS = ('__ignore__', '_background_')
OUTLINES = ('polygon', 'rectangle', 'circle', 'mask')
NO_OUTLINES = ('line', 'linestrip', 'point', 'points')
FEWEST_POINTS = {'polygon': 3, 'rectangle': 2, 'circle': 2, 'mask': 2}
CIRCLE_POINTS = 64
# How many files are looked at to recognize the format.
SAMPLE = 5


def find_labelme(root: Path, work_dir: str) -> ObjectDataset | None:
    """Return a dataset of LabelMe's format, or None if it is none.

    Args:
        root: A folder with JSON files and images, next to each other or in folders whose names say which split they
            are. Class names are those of the labels, or of ``labels.txt``.
        work_dir: A folder to leave out.

    Example:
        >>> find_labelme(Path('docs'), '') is None
        True
    """
    if not root.is_dir():
        return None
    paths = sorted(path for folder in folders(root, work_dir) for path in folder.glob('[!.]*.[jJ][sS][oO][nN]'))
    if not any(map(_is_labelme, islice(paths, SAMPLE))):
        return None
    file = names_file(root)
    names = tuple(name for name in read_names(file) if name not in NO_OBJECTS) if file else None
    pairing = pair_images(paths, root, work_dir, _named_image)
    remarks = [*pairing.remarks, *([f'Names are from {file}.'] if file else [])]
    return ObjectDataset('LabelMe', pairing.splits(root), partial(read_labelme, names), names, remarks=remarks)


def _parse(path: Path) -> dict:
    try:
        content = msgspec.json.decode(read_bytes(path))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f'it is no JSON: {error}.') from error
    if not isinstance(content, dict) or not isinstance(content.get('shapes'), list):
        raise ValueError('it has no list of shapes.')
    return content


def _is_labelme(path: Path) -> bool:
    try:
        return 'imagePath' in _parse(path)
    except (OSError, ValueError):
        return False


def _named_image(path: Path) -> str | None:
    try:
        name = _parse(path).get('imagePath')
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def read_labelme(names: Sequence[str] | None, source: Source) -> AnnotatedImage:
    """Return an image's size and objects. Shapes of one label and group are one object.

    Args:
        names: The names of the classes; None for all.
        source: The image and its annotations.

    Raises:
        ValueError, OSError: If the annotations cannot be read.
    """
    content = _parse(source.annotation_file)
    width, height = content.get('imageWidth'), content.get('imageHeight')
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        raise ValueError(f'imageWidth and imageHeight must be the size of the image; got {width} and {height}.')
    objects: dict[object, Object] = {}
    faults = []
    for i, shape in enumerate(content['shapes'], start=1):
        try:
            found = _object(shape, (width, height))
        except ValueError as error:
            faults.append(f'shape {i}: {error}')
            continue
        if found is None:
            continue
        if names is not None and found.name not in names:
            faults.append(f'shape {i}: its label {found.name!r} is none of the classes {", ".join(names)}.')
            continue
        group = shape.get('group_id')
        key = i if group is None else (found.name, str(group))
        objects[key] = _together(objects[key], found) if key in objects else found
    return AnnotatedImage(width, height, list(objects.values()), faults)


def _object(shape: object, size: tuple[int, int]) -> Object | None:
    """Return a shape as an object; None for lines and points, and what is no object."""
    if not isinstance(shape, dict):
        raise ValueError('it must be an object with a label and points.')
    kind = shape.get('shape_type') or 'polygon'
    name = shape.get('label')
    if kind in NO_OUTLINES or name in NO_OBJECTS:
        return None
    if kind not in OUTLINES:
        raise ValueError(f'its shape_type must be {", ".join((*OUTLINES, *NO_OUTLINES))}; got {kind!r:.40}.')
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f'its label must be a name; got {name!r}.')
    try:
        points = [(float(x), float(y)) for x, y in shape.get('points', ())]
    except (TypeError, ValueError):
        raise ValueError('its points must be pairs of numbers.') from None
    if len(points) < FEWEST_POINTS[kind] or not np.isfinite(points).all():
        raise ValueError(f'a {kind} needs {FEWEST_POINTS[kind]} points, and has {len(points)}.')
    if kind == 'circle':
        points = _circle(*points[:2])
    polygon = [number for point in points for number in point]
    if not all(map(math.isfinite, polygon)):
        raise ValueError('its circle is infinitely large.')
    segmentation: list | dict | None = [polygon]
    if kind == 'rectangle':
        segmentation = None
    elif kind == 'mask':
        segmentation = _mask(shape.get('mask'), points[0], size)
    return Object(name, polygon_box([polygon]), segmentation)


def _circle(center: tuple[float, float], edge: tuple[float, float]) -> list[tuple[float, float]]:
    radius = math.dist(center, edge)
    angles = [2 * math.pi * i / CIRCLE_POINTS for i in range(CIRCLE_POINTS)]
    return [(center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)) for angle in angles]


def _mask(text: object, corner: tuple[float, float], size: tuple[int, int]) -> dict:
    try:
        part = read_pixels(io.BytesIO(base64.b64decode(str(text))), 'L') > 0
        whole = np.zeros((size[1], size[0]), bool)
    except (ValueError, MemoryError, OverflowError) as error:
        raise ValueError(f'its mask cannot be read for {size[0]} x {size[1]} pixels: {error}') from error
    left, top = (max(0, round(number)) for number in corner)
    place = whole[top : top + part.shape[0], left : left + part.shape[1]]
    place |= part[: place.shape[0], : place.shape[1]]
    return encode_mask(whole)


def _together(first: Object, second: Object) -> Object:
    parts = [first.segmentation, second.segmentation]
    are_polygons = all(isinstance(part, list) for part in parts)
    corners = [(box[0], box[1], box[0] + box[2], box[1] + box[3]) for box in (first.box, second.box)]
    left, top = (min(corner[i] for corner in corners) for i in (0, 1))
    right, bottom = (max(corner[i] for corner in corners) for i in (2, 3))
    segmentation = parts[0] + parts[1] if are_polygons else None
    return Object(first.name, (left, top, right - left, bottom - top), segmentation)
