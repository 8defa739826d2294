"""The classes of well-known datasets of label maps, as mmseg names them, recognized by their folders."""

from collections.abc import Collection, Mapping
from pathlib import Path

from mmseg.utils import get_classes

from convnext_dense.datasets.formats.label_maps.values import IGNORED

# Of Cityscapes' 34 label ids, the 19 that are learned, in the order of their classes.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
# The values of COCO-stuff's maps that are no class.
NO_STUFF = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
STUFF_VALUES = 182


def known_classes(root: Path, maps: Path, ending: str, values: Collection[int]) -> tuple[str, ...]:
    """Return the names of a well-known dataset's classes; empty if it is none of them.

    Args:
        root: The dataset's folder.
        maps: The folder of its label maps.
        ending: How its label maps end.
        values: Their values.

    Example:
        >>> known_classes(Path('data/cityscapes'), Path('data/cityscapes/gtFine'), '_gtFine_labelTrainIds.png', [0])[:2]
        ('road', 'sidewalk')
    """
    most = max(set(values) - {IGNORED}, default=0)
    if '_gtFine_' in ending:
        name = 'cityscapes'
    elif maps.name == 'SegmentationClass' and root.resolve().name.startswith('VOC') and most <= 20:
        name = 'voc'
    elif root.resolve().name.startswith('ADEChallengeData') and most == 150:
        name = 'ade'
    elif most in range(150, STUFF_VALUES) and (ending == '_labelTrainIds.png' or 'stuffthingmaps' in maps.parts):
        name = 'cocostuff'
    else:
        return ()
    return tuple(get_classes(name))


def known_values(maps: Path, ending: str) -> Mapping[int, int] | None:
    """Return the class of each value of a well-known dataset whose values are no classes; None if it is none of them.

    Args:
        maps: The folder of its label maps.
        ending: How its label maps end.

    Example:
        >>> known_values(Path('gtFine'), '_gtFine_labelIds.png')[7]
        0
    """
    if ending.endswith('_labelIds.png'):
        return {value: IGNORED for value in range(256)} | {value: i for i, value in enumerate(CITYSCAPES_IDS)}
    if 'stuffthingmaps' in maps.parts and ending == '.png':
        stuff = [value for value in range(STUFF_VALUES) if value not in NO_STUFF]
        return {IGNORED: IGNORED} | {value: i for i, value in enumerate(stuff)}
    return None
