"""Recognizes datasets of images and label maps in folders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.fileio import list_dir_or_file

from convnext_dense.datasets.formats.coco_split import SEED, VAL_FRACTION, draw_parts, write_part
from convnext_dense.datasets.formats.description import MapDescription, MapSplit
from convnext_dense.datasets.formats.map_classes import find_classes
from convnext_dense.datasets.formats.places import IMAGE_WORDS, MAP_WORDS, SPLITS, folders, has_word, split_name
from convnext_dense.errors import UsageError

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
MAP_ENDINGS = ('.png', '.bmp', '.tif', '.tiff')
# Of a dataset with several maps for an image, such as Cityscapes: those of the labels, and those of others.
LABEL_MAPS = ('labelTrainIds', 'labelIds', 'label', 'mask', 'seg')
OTHER_MAPS = ('color', 'instance', 'depth', 'edge', 'polygon')
# In front of the ending of Cityscapes' images.
CITYSCAPES = '_leftImg8bit'
# How many images the endings of label maps are learned from.
SAMPLE = 5


@dataclass(frozen=True)
class _Pair:
    """A folder of images, one of their label maps, and the names that both have, without their endings."""

    images: Path
    maps: Path
    image_ending: str
    map_ending: str
    names: tuple[str, ...]
    without_map: int


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
    pairs = _pairs(root, work_dir)
    if len(pairs) > 1:
        # It holds the folders of the splits.
        pairs.pop('', None)
    remarks = [
        f'Images of {pair.images} without a label map in {pair.maps} are left out: {pair.without_map}.'
        for pair in pairs.values()
        if pair.without_map
    ]
    folder = Path(work_dir, 'data')
    if list(pairs) in ([''], ['train']):
        (pair,) = pairs.values()
        parts = draw_parts(pair.names, pair.images)
        splits = {name: _listed_split(pair, names, folder, name) for name, names in parts.items()}
        remarks.append(
            f'{pair.images} is the only folder of images: {VAL_FRACTION:.0%} of them are for validation, drawn with '
            f'seed {SEED}; the lists are in {folder}.'
        )
    else:
        if 'train' not in pairs:
            there = ' and '.join(str(pair.images) for pair in pairs.values())
            raise UsageError(f'data: {place} has no images for training with label maps, but {there}.')
        if 'val' not in pairs:
            pairs['val'] = pairs['test']
            remarks.append(f'There is no split for validation; {pairs["test"].images} is taken for it.')
        splits = {name: _split(pairs[name], folder, name) for name in SPLITS if name in pairs}
    endings = {(pair.image_ending, pair.map_ending) for pair in pairs.values()}
    if len(endings) > 1:
        shown = ' and '.join(f'{image}, {label}' for image, label in sorted(endings))
        raise UsageError(f'data: the images and label maps of {place} end differently in each split: {shown}.')
    ((image_ending, map_ending),) = endings
    maps = {name: [pair.maps / (stem + pair.map_ending) for stem in pair.names] for name, pair in pairs.items()}
    classes, ignores_zero, said = find_classes(root, maps)
    return MapDescription(place, classes, splits, image_ending, map_ending, ignores_zero, [*remarks, *said])


def _pairs(root: Path, work_dir: str) -> dict[str, _Pair]:
    """Return the pairs of folders by their split."""
    listed = _files(root, work_dir)
    found: dict[str, list[_Pair]] = {}
    for images, image_names in listed.items():
        for maps, map_names in listed.items():
            is_of_one_split = split_name(images, root) == split_name(maps, root)
            is_other = has_word(maps, root, IMAGE_WORDS) or has_word(images, root, MAP_WORDS)
            if images == maps or not is_of_one_split or is_other:
                continue
            inner = f'{maps.relative_to(images)}/' if maps.is_relative_to(images) else '/'
            if pair := _pair(images, [name for name in image_names if not name.startswith(inner)], maps, map_names):
                found.setdefault(split_name(images, root), []).append(pair)
    if not found:
        raise UsageError(
            f'data: {root} holds no folder of images and folder of label maps of the same names, such as images and '
            'masks.'
        )
    for name, pairs in found.items():
        most = max(len(pair.names) for pair in pairs)
        best = [pair for pair in pairs if len(pair.names) == most]
        best = [pair for pair in best if not any(_is_inside(pair, other) for other in best)]
        if len(best) > 1:
            shown = ' and '.join(f'{pair.images} with {pair.maps}' for pair in best[:2])
            raise UsageError(f'data: it is not clear which are the label maps of {name or "the images"}: {shown}.')
        found[name] = best
    return {name: best[0] for name, best in found.items()}


def _is_inside(pair: _Pair, other: _Pair) -> bool:
    return pair != other and pair.images.is_relative_to(other.images) and pair.maps.is_relative_to(other.maps)


def _files(root: Path, work_dir: str) -> dict[Path, list[str]]:
    """Return the images in each folder and in the folders in it, such as Cityscapes' cities."""
    found: dict[Path, list[str]] = {}
    for folder in folders(root, work_dir):
        found[folder] = []
        try:
            names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
        except OSError as error:
            raise UsageError(f'data: {folder} cannot be read: {error.strerror}.') from error
        for outer in (path for path in (folder, *folder.parents) if path in found):
            inner = folder.relative_to(outer)
            found[outer] += [str(inner / name) for name in names if not name.startswith('.')]
    return found


def _pair(images: Path, image_names: Sequence[str], maps: Path, map_names: Sequence[str]) -> _Pair | None:
    """Return two folders as a pair if the second has label maps for most images of the first."""
    stems = [name.removesuffix(_ending(name)) for name in image_names]
    rests = Counter(
        name.removeprefix(stem)
        for stem in stems[:: -(-len(stems) // SAMPLE) or 1]
        for name in map_names
        if name.startswith(stem) and name.lower().endswith(MAP_ENDINGS)
    )
    there = set(map_names)
    complete = [
        rest
        for rest in rests
        if not any(word in rest for word in OTHER_MAPS)
        if sum(stem + rest in there for stem in stems) > len(stems) / 2
    ]
    if not complete:
        return None
    rest = min(complete, key=_rank)
    paired = {name: stem for name, stem in zip(image_names, stems, strict=True) if stem + rest in there}
    endings = Counter(map(_ending, paired))
    if len(endings) > 1:
        shown = ' and '.join(f'{count} {ending}' for ending, count in endings.most_common())
        raise UsageError(f'data: images must end alike; there are {shown} in {images}.')
    return _Pair(images, maps, next(iter(endings)), rest, tuple(paired.values()), len(stems) - len(paired))


def _rank(rest: str) -> int:
    """Return how likely an ending is that of label maps; 0 is the likeliest."""
    return next((i for i, word in enumerate(LABEL_MAPS) if word in rest), len(LABEL_MAPS))


def _ending(name: str) -> str:
    """Return how a name ends: with its suffix, and Cityscapes' word before it."""
    suffix = Path(name).suffix
    return f'{CITYSCAPES}{suffix}' if name.endswith(f'{CITYSCAPES}{suffix}') else suffix


def _split(pair: _Pair, folder: Path, name: str) -> MapSplit:
    # What mmseg finds in the folder without a list.
    listed = list_dir_or_file(pair.images, list_dir=False, suffix=pair.image_ending, recursive=True)
    if {path.removesuffix(pair.image_ending) for path in listed} != set(pair.names):
        return _listed_split(pair, pair.names, folder, name)
    return MapSplit(str(pair.images), str(pair.maps), '', len(pair.names))


def _listed_split(pair: _Pair, names: Sequence[str], folder: Path, name: str) -> MapSplit:
    """Return a split of some of the images, whose names are written to a list."""
    file = folder / f'{name}.txt'
    write_part(file, ''.join(f'{stem}\n' for stem in names))
    return MapSplit(str(pair.images), str(pair.maps), str(file), len(names))
