"""Finds the label map of each image of a folder."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAP_ENDINGS = ('.png', '.bmp', '.tif', '.tiff', '.gif')
# Of a dataset with several maps for an image, such as Cityscapes: those of the labels, and those of others.
LABEL_MAPS = ('labelTrainIds', 'labelIds', 'label', 'mask', 'seg')
OTHER_MAPS = ('color', 'instance', 'depth', 'edge', 'polygon')
# In front of the ending of Cityscapes' images.
CITYSCAPES = '_leftImg8bit'
# Words in the names of images and of label maps that do not tell one from another.
KINDS = (
    'image',
    'images',
    'img',
    'photo',
    'mask',
    'masks',
    'label',
    'labels',
    'gt',
    'seg',
    'segmentation',
    'annotation',
)
MAP_KINDS = KINDS[KINDS.index('mask') :]
# How many images the endings of label maps are learned from.
SAMPLE = 5


@dataclass(frozen=True)
class MapFiles:
    """Images and their label maps.

    Args:
        images: The folder of the images.
        maps: The folder of the label maps.
        files: Of each image its path in the one folder, and that of its label map in the other.
        without_map: How many images have none.
        without_image: How many label maps are of no image.
    """

    images: Path
    maps: Path
    files: Sequence[tuple[str, str]]
    without_map: int = 0
    without_image: int = 0

    @property
    def endings(self) -> set[tuple[str, str]]:
        """How images end, and what their label maps have instead."""
        found = set()
        for image, label_map in self.files:
            ending = image_ending(image)
            stem = image.removesuffix(ending)
            found.add((ending, label_map.removeprefix(stem) if label_map.startswith(stem) else '?'))
        return found

    @property
    def image_paths(self) -> list[Path]:
        """The images."""
        return [self.images / image for image, _ in self.files]

    @property
    def map_paths(self) -> list[Path]:
        """The label maps."""
        return [self.maps / label_map for _, label_map in self.files]


def pair_names(images: Path, image_names: Sequence[str], maps: Path, map_names: Sequence[str]) -> MapFiles | None:
    """Return images with their label maps, if most have one: its name begins as the image's, or differs in words alone.

    Args:
        images: The folder of the images.
        image_names: Their names in it.
        maps: The folder of the label maps.
        map_names: Their names in it.

    Example:
        >>> pair_names(Path('a'), ['x.jpg', 'y.jpg'], Path('b'), ['x_mask.png', 'y_mask.png']).files
        [('x.jpg', 'x_mask.png'), ('y.jpg', 'y_mask.png')]
        >>> pair_names(Path('a'), ['img_1.png'], Path('b'), ['mask_1.png']).files
        [('img_1.png', 'mask_1.png')]
    """
    map_names = [name for name in map_names if name.lower().endswith(MAP_ENDINGS)]
    found, of_a_kind = _by_rest(image_names, map_names)
    if not found:
        found, of_a_kind = _by_words(image_names, map_names), map_names
    if len(found) * 2 <= len(image_names):
        return None
    alone = set(of_a_kind) - {label_map for _, label_map in found}
    return MapFiles(images, maps, found, len(image_names) - len(found), len(alone))


def _by_rest(image_names: Sequence[str], map_names: Sequence[str]) -> tuple[list[tuple[str, str]], Sequence[str]]:
    """Return the pairs of names that begin alike and go on as most do, and all label maps that go on so."""
    stems = {name: name.removesuffix(image_ending(name)) for name in image_names}
    rests = Counter(
        name.removeprefix(stem)
        for stem in list(stems.values())[:: -(-len(stems) // SAMPLE) or 1]
        for name in map_names
        if name.startswith(stem)
    )
    there = set(map_names)
    complete = [
        rest
        for rest in rests
        # A folder of masks for each image is no folder of label maps.
        if '/' not in rest
        if not any(word in rest for word in OTHER_MAPS)
        if sum(stem + rest in there for stem in stems.values()) * 2 > len(stems)
    ]
    if not complete:
        return [], []
    rest = min(complete, key=_rank)
    pairs = [(name, stem + rest) for name, stem in stems.items() if stem + rest in there]
    return pairs, [name for name in map_names if name.endswith(rest)]


def _rank(rest: str) -> int:
    """Return how likely an ending is that of label maps; 0 is the likeliest."""
    return next((i for i, word in enumerate(LABEL_MAPS) if word in rest), len(LABEL_MAPS))


def _by_words(image_names: Sequence[str], map_names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that are the same without words such as 'img' and 'mask'."""
    by_key: dict[str, list[str]] = {}
    for name in map_names:
        by_key.setdefault(_key(name), []).append(name)
    keys = Counter(map(_key, image_names))
    return [
        (name, by_key[key][0]) for name in image_names if keys[key := _key(name)] == 1 and len(by_key.get(key, ())) == 1
    ]


def _key(name: str) -> str:
    stem = name[: -len(Path(name).suffix) or None]
    words = [word for word in re.split(r'[_\-. ]', stem) if word.lower() not in KINDS]
    return '_'.join(words)


def is_map_name(name: str) -> bool:
    """Return whether a file's name says that it is a label map.

    Example:
        >>> is_map_name('street_01_mask.png'), is_map_name('street_01.jpg')
        (True, False)
    """
    words = re.split(r'[_\-. ]', Path(name).stem)
    return name.lower().endswith(MAP_ENDINGS) and any(word.lower() in MAP_KINDS for word in words)


def image_ending(name: str) -> str:
    """Return how a name ends: with its suffix, and Cityscapes' word before it.

    Example:
        >>> image_ending('a.b.jpg'), image_ending('a_leftImg8bit.png')
        ('.jpg', '_leftImg8bit.png')
    """
    suffix = Path(name).suffix
    return f'{CITYSCAPES}{suffix}' if name.endswith(f'{CITYSCAPES}{suffix}') else suffix
