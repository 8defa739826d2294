"""Finds the splits of a dataset that is to be checked, even if a fault keeps it from being described."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.datasets.checker.findings import DataFinding
from convnext_dense.datasets.checker.kinds import WARNING
from convnext_dense.datasets.checker.splits import LabelSplit, ObjectSplit
from convnext_dense.datasets.formats.class_names import NAME_FILES
from convnext_dense.datasets.formats.coco.coco_json import coco_content, read_json
from convnext_dense.datasets.formats.coco.find import OTHER_TASKS
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.datasets.formats.description import MapDescription
from convnext_dense.datasets.formats.label_maps.pairs import MAP_ENDINGS, OTHER_MAPS
from convnext_dense.datasets.formats.places import IMAGE_ENDINGS, IMAGE_WORDS, MAP_WORDS, folders, has_word, split_name
from convnext_dense.datasets.label_maps.label_rules import LARGEST, LabelRules
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import refuse_special

# What a file of COCO's form has within so many bytes of its beginning or its end.
COCO_KEYS, LOOKED_AT = (b'"images"', b'"annotations"', b'"categories"'), 1_000_000
# How many names and label maps are looked at to guess what they are.
SAMPLE = 50


def find_object_splits(
    place: str, work_dir: str, needs_masks: bool
) -> tuple[list[ObjectSplit], list[DataFinding], list[str]]:
    """Return the splits of a dataset of objects, what cannot be read of it, and what was chosen or left out.

    Args:
        place: As in `describe_data`.
        work_dir: Likewise.
        needs_masks: Whether an object without a mask is a fault.

    Raises:
        UsageError: If there are no annotation files.

    Example:
        >>> find_object_splits('data/nuclei', 'work_dirs/check', needs_masks=True)  # doctest: +SKIP
    """
    found: list[DataFinding] = []
    parts: list[tuple[str, str, str]] = []
    remarks: list[str] = []
    root = Path(place)
    files = [root] if root.suffix.lower() == '.json' else list(_annotation_files(root))
    # A file that is alone would be split into parts elsewhere; the faults are to be found in the user's.
    if len(files) != 1:
        try:
            task = 'instances' if needs_masks else 'boxes'
            described = describe_data(place, task, work_dir, report=lambda said: found.append(_unread(said)))
            parts = [(name, split.annotations, split.images) for name, split in described.splits.items()]
            remarks = list(described.remarks)
        except UsageError as error:
            if not files:
                raise
            found.append(DataFinding('data', place, str(error).removeprefix('data: ')))
    parts = parts or list(_rough_object_parts(root, files))
    if not parts:
        raise UsageError(f'data: {place} holds no JSON file with images, annotations and categories.')
    names = [name for name, _, _ in parts]
    training = 'train' if 'train' in names else names[0]
    # A test split that is the validation's, too, is one.
    firsts = {(file, images): name for name, file, images in reversed(parts)}
    return (
        [
            ObjectSplit(name, file, images, needs_masks, is_training=name == training)
            for (file, images), name in reversed(firsts.items())
        ],
        found,
        remarks,
    )


def _unread(said: str) -> DataFinding:
    file, _, detail = said.partition(': ')
    return DataFinding('conversion', file, detail)


def _rough_object_parts(root: Path, paths: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the annotation file and the folder of images of each split."""
    names = Counter(split_name(path, root) or 'data' for path in paths)
    for path in paths:
        name = split_name(path, root) or 'data'
        try:
            content = coco_content(read_json(path, is_coco=True))
            images = [str(image.get('file_name')) for image in content.images[:: 1 + len(content.images) // SAMPLE]]
        except (ValueError, AttributeError):
            images = []
        places = [root] if root.is_dir() else [root.parent, root.parent.parent]
        counts = {
            folder: (sum(os.path.isfile(folder / image) for image in images), split_name(folder, places[-1]) == name)
            for place in places
            for folder in folders(place)
        }
        best = max(counts, key=lambda folder: counts[folder])
        yield name if names[name] == 1 else f'{name} {path.stem}', str(path), str(best)


def _annotation_files(root: Path) -> Iterator[Path]:
    for folder in folders(root):
        for path in sorted(folder.glob('[!.]*.[jJ][sS][oO][nN]')):
            if path.name.lower().startswith(OTHER_TASKS):
                continue
            try:
                refuse_special(path)
                with path.open('rb') as stream:
                    text = stream.read(LOOKED_AT)
                    stream.seek(max(0, path.stat().st_size - LOOKED_AT))
                    text += stream.read()
            except OSError:
                # The check of the file says why.
                yield path
                continue
            if sum(key in text for key in COCO_KEYS) > 1 or not _is_json(path):
                yield path


def _is_json(path: Path) -> bool:
    try:
        read_json(path, is_coco=False)
    except ValueError:
        return False
    return True


def find_label_splits(place: str, work_dir: str) -> tuple[list[LabelSplit], list[DataFinding], list[str]]:
    """Return the splits of a dataset of label maps, what cannot be read of it, and what was chosen or left out.

    Args:
        place: As in `describe_data`.
        work_dir: Likewise.

    Raises:
        UsageError: If there are no images with label maps.

    Example:
        >>> find_label_splits('data/street', 'work_dirs/check')  # doctest: +SKIP
    """
    root = Path(place)
    unread: list[DataFinding] = []
    try:
        description = describe_data(place, 'semantic', work_dir, report=lambda said: unread.append(_unread(said)))
    except UsageError as error:
        splits = _rough_label_splits(root) if root.is_dir() else []
        if not splits:
            raise
        found = DataFinding('data', place, str(error).removeprefix('data: '))
        return splits, [found], []
    assert isinstance(description, MapDescription)
    rules = LabelRules(len(description.classes), LARGEST, description.ignores_zero)
    parts = {name: _described_pairs(description, name) for name in description.splits}
    splits, seen = [], set()
    for name, pairs in parts.items():
        if tuple(pairs) not in seen:
            seen.add(tuple(pairs))
            splits.append(LabelSplit(name, pairs, description.classes, rules, is_training=name == 'train'))
    pairs = [pair for pairs in parts.values() for pair in pairs]
    return splits, [*unread, *_left_out(description, pairs)], list(description.remarks)


def _described_pairs(description: MapDescription, name: str) -> list[tuple[str, str]]:
    split = description.splits[name]
    if split.names:
        stems = Path(split.names).read_text(encoding='utf-8').splitlines()
    else:
        ending = description.image_ending
        stems = [path.removesuffix(ending) for path in _files(split.images) if path.endswith(ending)]
    return [
        (
            os.path.join(split.images, stem + description.image_ending),
            os.path.join(split.maps, stem + description.map_ending),
        )
        for stem in stems
    ]


def _left_out(description: MapDescription, pairs: Sequence[tuple[str, str]]) -> Iterator[DataFinding]:
    """Find images and label maps that are in no pair."""
    paired = {os.path.realpath(file) for pair in pairs for file in pair}
    seen = set()
    for name, split in description.splits.items():
        for folder, endings, kind in (
            (split.images, IMAGE_ENDINGS, 'map-missing'),
            (split.maps, (description.map_ending.lower(),), 'image-of-map-missing'),
        ):
            if folder in seen:
                continue
            seen.add(folder)
            for file in _files(folder):
                path = os.path.join(folder, file)
                if file.lower().endswith(endings) and os.path.realpath(path) not in paired:
                    yield DataFinding(kind, path, 'it is left out', name, level=WARNING)


def _files(folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(place, file), folder)
        for place, _, files in os.walk(folder, followlinks=True)
        for file in files
        if not file.startswith('.')
    )


def _rough_label_splits(root: Path) -> list[LabelSplit]:
    """Pair images and label maps by their names alone."""
    listed = {
        folder: sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
        for folder in folders(root)
    }
    found: dict[str, list[tuple[str, str]]] = {}
    for maps, files in listed.items():
        if not has_word(maps, root, MAP_WORDS) or has_word(maps, root, IMAGE_WORDS):
            continue
        stems = _by_stem(files)
        for images, others in listed.items():
            is_of_split = split_name(images, root) == split_name(maps, root)
            if images == maps or not is_of_split or has_word(images, root, MAP_WORDS):
                continue
            pairs = [(str(image), str(stems[image.stem])) for image in others if image.stem in stems]
            found.setdefault(split_name(maps, root) or 'data', []).extend(pairs)
    file = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    # What cannot be read of them was said already.
    text = file.read_text(encoding='utf-8-sig', errors='replace') if file and os.access(file, os.R_OK) else ''
    names = [line.strip() for line in text.splitlines()]
    classes = tuple(name for name in names if name)
    splits = {name: pairs for name, pairs in found.items() if pairs}
    maps = [file for pairs in splits.values() for _, file in pairs]
    rules = LabelRules(len(classes) or None, LARGEST, _count_from_one(maps, len(classes)))
    training = 'train' if 'train' in splits else next(iter(splits), '')
    return [LabelSplit(name, pairs, classes, rules, is_training=name == training) for name, pairs in splits.items()]


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Return label maps by the names that their images may have: ``a_mask.png`` is that of ``a`` or ``a_mask``."""
    stems: dict[str, Path] = {}
    for file in files:
        if file.suffix.lower() not in MAP_ENDINGS or any(word in file.stem for word in OTHER_MAPS):
            continue
        parts = file.stem.split('_')
        for length in range(len(parts), 0, -1):
            stems.setdefault('_'.join(parts[:length]), file)
    return stems


def _count_from_one(files: Sequence[str], classes: int) -> bool:
    """Return whether the number of classes is a value of many label maps."""
    counts = []
    for file in files[:: 1 + len(files) // SAMPLE]:
        try:
            with Image.open(file) as image:
                counts.append(bool(classes and (np.asarray(image) == classes).any()))
        except (OSError, ValueError, SyntaxError):
            continue
    return sum(counts) * 5 > len(counts)
