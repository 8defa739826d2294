"""Finds the classes of label maps: from a list of names, and from the values of the pixels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.datasets.formats.description import SHOWN_CLASSES
from convnext_dense.errors import UsageError

# A line for each class.
NAME_FILES = ('classes.txt', 'labels.txt', 'class_names.txt', 'label_names.txt', 'names.txt')
IGNORED = 255
# How many label maps are read, of all splits; the others are looked at when they are loaded.
SAMPLE = 200
SHOWN_VALUES = 5


def find_classes(root: Path, maps: Mapping[str, Sequence[Path]]) -> tuple[tuple[str, ...], bool, list[str]]:
    """Return the names of the classes, whether a value of 0 is ignored, and sentences on what was chosen.

    Args:
        root: The dataset's folder, in which a list of names may be.
        maps: The label maps of each split.

    Raises:
        UsageError: If a label map cannot be read, has more than one channel, or has values that are no classes.

    Example:
        >>> find_classes(Path('.'), {'train': []})
        Traceback (most recent call last):
        ...
        convnext_dense.errors.UsageError: data: . has no label maps with classes.
    """
    paths = [path for split in maps.values() for path in split]
    values = _values(paths[:: -(-len(paths) // SAMPLE) or 1])
    if not values - {IGNORED}:
        raise UsageError(f'data: {root} has no label maps with classes.')
    if values == {0, IGNORED}:
        raise UsageError(
            f'data: the label maps of {root} have the values 0 and 255, and 255 is ignored; write 0 and 1 for two '
            'classes.'
        )
    most = max(values - {IGNORED})
    file = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    if file is None:
        if len(values - {IGNORED}) * 2 < most + 1:
            shown = ', '.join(map(str, sorted(values)[:SHOWN_VALUES]))
            raise UsageError(
                f'data: the label maps of {root} have the values {shown}, which do not count classes; count from 0, or '
                f'write {NAME_FILES[0]} with a name for each value in a line.'
            )
        names = tuple(f'class {value}' for value in range(most + 1))
        said = f'There is no {NAME_FILES[0]} with a name in each line, so the classes are named by their values.'
    else:
        names = tuple(line.strip() for line in file.read_text(encoding='utf-8-sig').splitlines() if line.strip())
        if len(set(names)) < len(names) or not names:
            raise UsageError(f'data: {file} must have a name in each line, and none twice.')
        if most > len(names):
            raise UsageError(
                f'data: the label maps of {root} have values up to {most}, and {file} has {len(names)} names.'
            )
        said = f'Names are from {file}.'
    if len(names) == 1:
        raise UsageError(
            f'data: {root} has one class, {names[0]!r}, and a segmenter tells classes apart; a background is a class, '
            f'and {NAME_FILES[0]} has a line for each.'
        )
    ignores_zero = most == len(names)
    if ignores_zero:
        said += f' The label maps have values up to {most}, so the first name is 1, and 0 is ignored.'
    unseen = [name for i, name in enumerate(names) if i + ignores_zero not in values]
    if unseen:
        said += f' No pixel was seen of {", ".join(unseen[:SHOWN_CLASSES])}{", ..." * (len(unseen) > SHOWN_CLASSES)}.'
    return names, ignores_zero, [said]


def _values(paths: Sequence[Path]) -> set[int]:
    found = np.zeros(65536, dtype=bool)
    for path in paths:
        try:
            with Image.open(path) as image:
                values = np.asarray(image)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise UsageError(f'data: {path} cannot be read as a label map: {error}.') from error
        if values.ndim != 2:
            raise UsageError(
                f'data: {path} has {values.shape[2]} channels; a label map has one, whose values are the classes.'
            )
        found[np.unique(values).astype(np.int64) & 0xFFFF] = True
    return set(np.flatnonzero(found).tolist())
