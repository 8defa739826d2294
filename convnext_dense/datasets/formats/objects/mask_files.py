"""Recognizes datasets of objects with a file for each object's mask, as the Data Science Bowl's nuclei have."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convnext_dense.datasets.formats.class_names import names_file, read_names
from convnext_dense.datasets.formats.objects.masks import encode_mask, mask_box, read_pixels
from convnext_dense.datasets.formats.objects.sources import AnnotatedImage, Object, ObjectDataset, Source, image_size
from convnext_dense.datasets.formats.places import folders, is_image, split_name
from convnext_dense.errors import UsageError

IMAGES, MASKS = 'images', 'masks'


def find_mask_files(root: Path, work_dir: str) -> ObjectDataset | None:
    """Return a dataset with a file for each object's mask, or None if it is none.

    Args:
        root: A folder in which each image has a folder of masks: ``NAME/images/NAME.png`` and ``NAME/masks/*.png``, or
            ``images/NAME.png`` and ``masks/NAME/*.png``. Its only class is named by ``classes.txt``, or else 'object'.
        work_dir: A folder to leave out.

    Raises:
        UsageError: If it is one, and `classes.txt` has several names.

    Example:
        >>> find_mask_files(Path('docs'), '') is None
        True
    """
    if not root.is_dir():
        return None
    splits: dict[str, list[Source]] = {}
    for folder in folders(root, work_dir):
        if folder.name != MASKS:
            continue
        for source in _sources(folder):
            splits.setdefault(split_name(folder.parent, root), []).append(source)
    if not splits:
        return None
    file = names_file(root)
    names = read_names(file) if file else ('object',)
    if len(names) > 1:
        raise UsageError(f'data: {root} has a file for each mask, which have one class, and {file} has {len(names)}.')
    remarks = [] if file else ["There is no classes.txt with a name, so the class is named 'object'."]
    return ObjectDataset('a file for each mask', splits, _reader(names[0]), names, remarks=remarks)


def _sources(masks: Path) -> list[Source]:
    """Return the images whose masks are in a folder of the name 'masks'."""
    images = masks.with_name(IMAGES)
    if not images.is_dir():
        return []
    paths = sorted(path for path in images.iterdir() if is_image(path))
    if len(paths) == 1 and any(map(is_image, masks.iterdir())) and not (masks / paths[0].name).exists():
        return [Source(paths[0], masks)]
    return [Source(path, masks / path.stem) for path in paths if (masks / path.stem).is_dir()]


def _reader(name: str):  # noqa: ANN202 - a function as in ObjectDataset
    def read(source: Source) -> AnnotatedImage:
        width, height = image_size(source.image)
        objects, faults = [], []
        for path in sorted(path for path in source.annotations.iterdir() if is_image(path)):
            try:
                mask = _mask(path, (height, width))
                objects.append(Object(name, mask_box(mask), encode_mask(mask)))
            except (OSError, ValueError) as error:
                faults.append(f'{path.name}: {error}')
        return AnnotatedImage(width, height, objects, faults)

    return read


def _mask(path: Path, shape: Sequence[int]) -> np.ndarray:
    mask = read_pixels(path, 'L') > 0
    if mask.shape != tuple(shape):
        raise ValueError(
            f'the mask has {mask.shape[1]} x {mask.shape[0]} pixels, and the image {shape[1]} x {shape[0]}.'
        )
    if not mask.any():
        raise ValueError('the mask is empty.')
    return mask
