"""What a validation found, and the file that keeps it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convnext_dense.errors import UsageError, describe
from convnext_dense.evaluation.errors.boxes import Boxes
from convnext_dense.evaluation.output_files import write_whole

RECORD_FILE = 'last_validation.npz'
BOX_PARTS = ('image', 'label', 'box', 'score', 'is_ignored', 'area')


@dataclass
class ShownImage:
    """An image whose predictions are drawn in a report.

    Args:
        index: Its number in the dataset.
        file: The image.
        score: How well it is predicted, from 0 to 1; -1 if there is nothing to predict.
        shape: Its height and width in pixels.
        truth: What is to be found. A detector's are dicts of ``label``, ``box``, ``is_ignored`` and, as COCO's
            run-length encoding, ``mask``.
        found: What was found, with ``score``.
        maps: A segmenter's label maps, of the truth and of what was found.
    """

    index: int
    file: str
    score: float
    shape: tuple[int, int]
    truth: list[dict] = field(default_factory=list)
    found: list[dict] = field(default_factory=list)
    maps: tuple[np.ndarray, ...] = ()


@dataclass
class ValidationRecord:
    """What a validation found.

    Args:
        classes: The names of the classes.
        colors: A color for each class, as RGB.
        place: When it was, such as 'epoch 12'.
        metrics: The scores.
        images: How many images were looked at.
        images_in_all: How many there are.
        image_scores: The score of each image that was looked at.
        shown: Images to draw.
        truth: A detector's objects.
        found: What it found.
        arrays: A segmenter's counts: ``confusion``, ``boundary_confusion``, ``distances`` and ``reliability``.
    """

    classes: list[str]
    colors: list[tuple[int, ...]]
    place: str
    metrics: dict[str, float]
    images: int
    images_in_all: int
    image_scores: np.ndarray
    shown: list[ShownImage]
    truth: Boxes | None = None
    found: Boxes | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def save_record(record: ValidationRecord, file: Path) -> None:
    """Write a record.

    Args:
        record: The record.
        file: Where to.

    Raises:
        UsageError: If it cannot be written.
    """
    header = {name: getattr(record, name) for name in ('classes', 'colors', 'place', 'metrics', 'images')}
    header['images_in_all'] = record.images_in_all
    header['shown'] = [{**asdict(image), 'maps': len(image.maps)} for image in record.shown]
    arrays: dict[str, Any] = dict(header=np.array(json.dumps(header)), image_scores=record.image_scores)
    arrays |= {f'counts_{name}': values for name, values in record.arrays.items()}
    for i, image in enumerate(record.shown):
        arrays |= {f'map_{i}_{j}': values for j, values in enumerate(image.maps)}
    for name in ('truth', 'found'):
        if (boxes := getattr(record, name)) is not None:
            arrays |= {f'{name}_{part}': _small(getattr(boxes, part)) for part in BOX_PARTS}
    with write_whole(file, 'work_dir') as partial:
        np.savez_compressed(partial, **arrays)


def read_record(folder: str | Path) -> ValidationRecord | None:
    """Return what a run's last validation found; None if it kept no record.

    Args:
        folder: The run's work dir.

    Raises:
        UsageError: If the file is none of ours.

    Example:
        >>> read_record('no/such/folder') is None
        True
    """
    file = Path(folder, RECORD_FILE)
    if not file.is_file():
        return None
    try:
        # Nothing in it is run: it has no pickle.
        with np.load(file, allow_pickle=False) as arrays:
            return _unpack(dict(arrays))
    except Exception as error:
        raise UsageError(f'{file} is no record of a validation ({describe(error)}); delete it.') from error


def _unpack(arrays: dict[str, np.ndarray]) -> ValidationRecord:
    header = json.loads(str(arrays['header']))
    shown = [
        _image(image, tuple(arrays[f'map_{i}_{j}'] for j in range(image['maps'])))
        for i, image in enumerate(header.pop('shown'))
    ]
    colors = [tuple(color) for color in header.pop('colors')]
    boxes: dict[str, Any] = {
        name: Boxes(*(_large(arrays[f'{name}_{part}']) for part in BOX_PARTS))
        for name in ('truth', 'found')
        if f'{name}_label' in arrays
    }
    counts = {name.removeprefix('counts_'): values for name, values in arrays.items() if name.startswith('counts_')}
    scores = arrays['image_scores']
    return ValidationRecord(**header, colors=colors, image_scores=scores, shown=shown, arrays=counts, **boxes)


def _image(image: dict[str, Any], maps: tuple[np.ndarray, ...]) -> ShownImage:
    parts: dict[str, Any] = {**image, 'shape': tuple(image['shape']), 'maps': maps}
    return ShownImage(**parts)


def _small(values: np.ndarray) -> np.ndarray:
    kinds = {'f': np.float32, 'i': np.int32}
    return values.astype(kinds.get(values.dtype.kind, values.dtype))


def _large(values: np.ndarray) -> np.ndarray:
    kinds = {'f': np.float64, 'i': np.int64}
    return values.astype(kinds.get(values.dtype.kind, values.dtype))
