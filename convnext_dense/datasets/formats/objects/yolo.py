"""Recognizes datasets in YOLO's format: a text file for each image, a line for each object.

Reference:
    https://docs.ultralytics.com/datasets/segment: the lines, and the forms of ``data.yaml``.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from convnext_dense.datasets.formats.class_names import names_file, read_names
from convnext_dense.datasets.formats.objects.sources import (
    AnnotatedImage,
    Object,
    ObjectDataset,
    Source,
    image_size,
    polygon_box,
)
from convnext_dense.datasets.formats.objects.yolo_yaml import yaml_splits, yolo_yaml
from convnext_dense.datasets.formats.places import folders, image_names, images_of_list, split_name
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import read_text, refuse_special
from convnext_dense.wording import counted

BOX_NUMBERS = 4
FEWEST_POLYGON_NUMBERS = 6
# What is beyond 1 is no rounding, but pixels.
LARGEST = 1.01
# How many images are looked at to recognize the format.
SAMPLE = 20


def find_yolo(root: Path, work_dir: str) -> ObjectDataset | None:
    """Return a dataset of YOLO's format, or None if it is none.

    Args:
        root: A ``data.yaml``; a folder with one; or a folder with a file of names, such as ``classes.txt`` or
            ``obj.names``, and text files next to the images, or in ``labels`` instead of ``images``.
        work_dir: A folder to leave out.

    Raises:
        UsageError: If it is one, and files are missing or contradict each other.

    Example:
        >>> find_yolo(Path('docs'), '') is None
        True
    """
    yaml = yolo_yaml(root)
    if yaml and yaml.has_splits:
        listed, remarks = yaml_splits(yaml)
        splits = {name: _with_labels(images) for name, images in listed.items()}
        read = partial(read_yolo, yaml.names, yaml.keypoint_numbers)
        remarks = [*remarks, *_left_out(splits)]
        return ObjectDataset('YOLO', splits, read, yaml.names, yaml.keypoint_numbers, remarks)
    if root.is_file():
        return None
    splits = _splits(root, work_dir)
    sources = [source for split in splits.values() for source in split]
    sample = sources[:: -(-len(sources) // SAMPLE) or 1]
    if not any(source.annotations and _is_yolo(source.annotations) for source in sample):
        return None
    file = yaml.file if yaml else names_file(root)
    if file is None:
        raise UsageError(
            f"data: {root} has labels of YOLO's format, and no names for them; write data.yaml, or classes.txt with a "
            'name in each line.'
        )
    names = yaml.names if yaml else read_names(file)
    remarks = [f'Names are from {file}.', *_left_out(splits)]
    return ObjectDataset('YOLO', splits, partial(read_yolo, names, 0), names, remarks=remarks)


def _splits(root: Path, work_dir: str) -> dict[str, list[Source]]:
    """Return the images with labels by the lists of their names, as darknet has them, or else by their folder."""
    lists = {name: path for path in sorted(root.glob('*.txt')) if (name := split_name(path, root))}
    found = {
        name: _with_labels(images_of_list(path, root)) for name, path in lists.items() if images_of_list(path, root)
    }
    if found:
        return found
    for folder in folders(root, work_dir):
        sources = _with_labels(folder / name for name in image_names(folder))
        if any(source.annotations for source in sources):
            found.setdefault(split_name(folder, root), []).extend(sources)
    return found


def _left_out(splits: Mapping[str, Sequence[Source]]) -> list[str]:
    """Return what is said of labels that are next to others, and whose image is in no split."""
    used = {source.annotations for split in splits.values() for source in split if source.annotations}
    near = (path for folder in {path.parent for path in used} for path in folder.glob('[!.]*.txt'))
    alone = sorted(path for path in near if path not in used and path.is_file() and _is_yolo(path))
    if not alone:
        return []
    return [f'left out: {counted(len(alone), "file")} of labels without an image in a split, such as {alone[0]}.']


def _with_labels(images: Iterable[Path]) -> list[Source]:
    return [Source(image, _labels(image)) for image in images]


def _labels(image: Path) -> Path | None:
    """Return the labels of an image: in ``labels`` instead of the last ``images`` of its path, or next to it."""
    near = image.with_suffix('.txt')
    parts = near.parts
    where = next((i for i in range(len(parts) - 2, -1, -1) if parts[i] == 'images'), None)
    places = [near] if where is None else [Path(*parts[:where], 'labels', *parts[where + 1 :]), near]
    return next((place for place in places if place.is_file()), None)


def _is_yolo(labels: Path) -> bool:
    refuse_special(labels)
    with labels.open(encoding='utf-8', errors='replace') as file:
        words = file.readline().split()
    return len(words) > BOX_NUMBERS and all(re.fullmatch(r'-?[\d.]+(e-?\d+)?', word) for word in words)


def read_yolo(names: Sequence[str], keypoint_numbers: int, source: Source) -> AnnotatedImage:
    """Return an image's size and objects.

    Args:
        names: The names of the classes.
        keypoint_numbers: How many numbers of keypoints follow each box.
        source: The image and its labels.

    Raises:
        ValueError, OSError: If the image or the labels cannot be read.
    """
    width, height = image_size(source.image)
    if source.annotations is None:
        return AnnotatedImage(width, height)
    objects, faults = [], []
    for i, line in enumerate(read_text(source.annotations).splitlines(), start=1):
        try:
            if words := line.split():
                objects.append(_object(words, names, keypoint_numbers, width, height))
        except ValueError as error:
            faults.append(f'line {i}: {error}')
    return AnnotatedImage(width, height, objects, faults)


def _object(words: Sequence[str], names: Sequence[str], keypoint_numbers: int, width: int, height: int) -> Object:
    try:
        index, *numbers = (float(word) for word in words)
    except ValueError:
        raise ValueError(f"a word is no number in '{' '.join(words)[:60]}'.") from None
    if index not in range(len(names)):
        raise ValueError(
            f'there is no class {words[0]}; of {counted(len(names), "class")}, the numbers are 0 to {len(names) - 1}.'
        )
    if keypoint_numbers and len(numbers) == BOX_NUMBERS + keypoint_numbers:
        numbers = numbers[:BOX_NUMBERS]
    if not all(math.isfinite(number) and -LARGEST < number <= LARGEST for number in numbers):
        raise ValueError(f'numbers are parts of the width or height, from 0 to 1; got {max(numbers, key=abs):g}.')
    name = names[int(index)]
    if len(numbers) == BOX_NUMBERS:
        x, y, w, h = numbers
        if w < 0 or h < 0:
            raise ValueError(f'the box is {w:g} wide and {h:g} high.')
        left, top = max(0, x - w / 2), max(0, y - h / 2)
        right, bottom = min(1, x + w / 2), min(1, y + h / 2)
        return Object(name, (left * width, top * height, (right - left) * width, (bottom - top) * height))
    if len(numbers) < FEWEST_POLYGON_NUMBERS or len(numbers) % 2:
        raise ValueError(
            f'after the class are {len(numbers)} numbers; a box has 4, and a polygon two for each of three points or '
            'more.'
        )
    polygon = [min(1, max(0, number)) * (height if i % 2 else width) for i, number in enumerate(numbers)]
    return Object(name, polygon_box([polygon]), [polygon])
