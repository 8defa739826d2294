"""Recognizes datasets of images and label maps in folders."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convnext_dense.datasets.formats.coco_split import SEED, VAL_FRACTION
from convnext_dense.datasets.formats.description import MapDescription, MapSplit
from convnext_dense.datasets.formats.map_classes import find_classes
from convnext_dense.datasets.formats.places import folders, split_name
from convnext_dense.errors import UsageError

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
MAP_ENDINGS = ('.png', '.bmp', '.tif', '.tiff')
# What the names of folders say.
IMAGE_WORDS = ('image', 'img', 'photo', 'picture')
MAP_WORDS = ('ann', 'mask', 'label', 'gt', 'seg')
# Of a dataset with several maps for an image, such as Cityscapes: those of the labels, and those of others.
LABEL_MAPS = ('labelTrainIds', 'labelIds', 'label', 'mask', 'seg')
OTHER_MAPS = ('color', 'instance', 'depth', 'edge', 'polygon')


@dataclass(frozen=True)
class _Pair:
    """A folder of images, one of their label maps, and the names that both have, without their endings."""

    images: Path
    maps: Path
    image_ending: str
    map_ending: str
    names: tuple[str, ...]


def describe_maps(place: str, work_dir: str) -> MapDescription:
    """Describe a dataset of label maps.

    Args:
        place: A folder with folders of images and of label maps of the same names, such as ``images/train`` and
            ``masks/train``, or ``train/images`` and ``train/labels``. What splits they are is read from the names of
            the folders. Without a 'val' split, 'test' is taken for it; with neither, part of the images is.
        work_dir: Where the lists of a split that had to be made are written.

    Raises:
        UsageError: If it is no such dataset, or it is not clear which.

    Example:
        >>> describe_maps('data/street', 'work_dirs/street')  # doctest: +SKIP
    """
    root = Path(place)
    if not root.is_dir():
        raise UsageError(f'data: there is no folder {place}.')
    pairs = _pairs(root)
    remarks = []
    if list(pairs) in ([''], ['train']):
        (pair,) = pairs.values()
        splits = _drawn_splits(pair, Path(work_dir, 'data'))
        remarks.append(
            f'{pair.images} is the only folder of images: {VAL_FRACTION:.0%} of them are for validation, drawn with '
            f'seed {SEED}; the lists are in {work_dir}/data.'
        )
    else:
        pairs.pop('', None)
        if 'train' not in pairs:
            there = ' and '.join(str(pair.images) for pair in pairs.values())
            raise UsageError(f'data: {place} has no images for training with label maps, but {there}.')
        if 'val' not in pairs:
            pairs['val'] = pairs['test']
            remarks.append(f'There is no split for validation; {pairs["test"].images} is taken for it.')
        splits = {
            name: MapSplit(str(pair.images), str(pair.maps), '', len(pair.names))
            for name, pair in sorted(pairs.items(), key=lambda item: ('train', 'val', 'test').index(item[0]))
        }
    endings = {(pair.image_ending, pair.map_ending) for pair in pairs.values()}
    if len(endings) > 1:
        shown = ' and '.join(f'{image}, {label}' for image, label in sorted(endings))
        raise UsageError(f'data: the images and label maps of {place} end differently in each split: {shown}.')
    ((image_ending, map_ending),) = endings
    maps = {name: [pair.maps / (stem + pair.map_ending) for stem in pair.names] for name, pair in pairs.items()}
    classes, ignores_zero, said = find_classes(root, maps)
    return MapDescription(place, classes, splits, image_ending, map_ending, ignores_zero, [*remarks, *said])


def _pairs(root: Path) -> dict[str, _Pair]:
    """Return the pairs of folders by their split."""
    listed = {folder: _files(folder) for folder in folders(root)}
    found: dict[str, list[_Pair]] = {}
    for images, image_names in listed.items():
        for maps, map_names in listed.items():
            is_of_one_split = split_name(images, root) == split_name(maps, root)
            is_other = _has_word(maps, root, IMAGE_WORDS) or _has_word(images, root, MAP_WORDS)
            if images == maps or not is_of_one_split or is_other:
                continue
            if pair := _pair(images, image_names, maps, map_names):
                found.setdefault(split_name(images, root), []).append(pair)
    if not found:
        raise UsageError(
            f'data: {root} holds no folder of images and folder of label maps of the same names, such as images and '
            'masks.'
        )
    for name, pairs in found.items():
        most = max(len(pair.names) for pair in pairs)
        best = [pair for pair in pairs if len(pair.names) == most]
        if len(best) > 1:
            shown = ' and '.join(f'{pair.images} with {pair.maps}' for pair in best[:2])
            raise UsageError(f'data: it is not clear which are the label maps of {name or "the images"}: {shown}.')
        found[name] = best
    return {name: best[0] for name, best in found.items()}


def _has_word(folder: Path, root: Path, words: Sequence[str]) -> bool:
    parts = re.findall('[A-Z]?[a-z]+|[A-Z]+', str(folder.relative_to(root)))
    return any(part.lower().startswith(tuple(words)) for part in parts)


def _files(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
    except OSError as error:
        raise UsageError(f'data: {folder} cannot be read: {error.strerror}.') from error


def _pair(images: Path, image_names: Sequence[str], maps: Path, map_names: Sequence[str]) -> _Pair | None:
    """Return two folders as a pair if the second has a label map for each image of the first."""
    if not image_names or not map_names:
        return None
    ending = _common_ending(image_names)
    stems = [name.removesuffix(ending) for name in image_names]
    first = min(stems)
    candidates = [
        name.removeprefix(first) for name in map_names if name.startswith(first) and name.lower().endswith(MAP_ENDINGS)
    ]
    candidates = [rest for rest in candidates if not any(word in rest for word in OTHER_MAPS)]
    there = set(map_names)
    complete = [rest for rest in candidates if sum(stem + rest in there for stem in stems) > len(stems) / 2]
    if not complete:
        return None
    complete.sort(key=lambda rest: next((i for i, word in enumerate(LABEL_MAPS) if word in rest), len(LABEL_MAPS)))
    rest = complete[0]
    return _Pair(images, maps, ending, rest, tuple(stem for stem in stems if stem + rest in there))


def _common_ending(names: Sequence[str]) -> str:
    """Return how all names end: with their suffix, and Cityscapes' word before it."""
    suffixes = Counter(Path(name).suffix for name in names)
    if len(suffixes) > 1:
        shown = ' and '.join(f'{count} {suffix}' for suffix, count in suffixes.most_common())
        raise UsageError(f'data: images of one folder must end alike; there are {shown}, such as {names[0]}.')
    suffix = next(iter(suffixes))
    ending = f'_leftImg8bit{suffix}'
    return ending if all(name.endswith(ending) for name in names) else suffix


def _drawn_splits(pair: _Pair, folder: Path) -> dict[str, MapSplit]:
    """Write lists of the names for training and for validation."""
    if len(pair.names) < 2:
        raise UsageError(f'data: {pair.images} has one image; training and validation need one each at least.')
    chosen = set(random.Random(SEED).sample(pair.names, max(1, round(len(pair.names) * VAL_FRACTION))))
    splits = {}
    for name, is_val in (('train', False), ('val', True)):
        names = [stem for stem in pair.names if (stem in chosen) == is_val]
        file = folder / f'{name}.txt'
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(''.join(f'{stem}\n' for stem in names))
        except OSError as error:
            raise UsageError(f'work_dir: {file} cannot be written: {error.strerror}.') from error
        splits[name] = MapSplit(str(pair.images), str(pair.maps), str(file), len(names))
    return splits
