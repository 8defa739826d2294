"""What a dataset on disk holds, whatever its format."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from convnext_dense.wording import counted

SHOWN_CLASSES = 10


@dataclass(frozen=True)
class Split:
    """One split of a dataset of objects, as COCO's.

    Args:
        annotations: Its annotation file, of COCO's form.
        images: The folder that the file's names are in.
        image_count: How many images it has.
        objects: How many objects of each class it has.
    """

    annotations: str
    images: str
    image_count: int
    objects: Mapping[str, int] = field(default_factory=Counter)


@dataclass(frozen=True)
class DataDescription:
    """A dataset of objects that was recognized.

    Args:
        place: The folder or file that was named.
        format: What it was recognized as.
        classes: The names of its classes, in the order of their labels.
        splits: 'train', 'val' and 'test', as it has them.
        has_masks: Whether its objects have masks; otherwise boxes alone.
        remarks: Sentences on what was chosen or left out, and why.
        without_mask: How many objects have none, if others have one.

    Example:
        >>> splits = dict(train=Split('train.json', 'images', 60, dict(cat=50, dog=20)))
        >>> print(DataDescription('pets', 'COCO', ('cat', 'dog'), splits, has_masks=True))
        data pets: COCO, with masks; 2 classes.
          train: 60 images in images, 70 objects (cat 50, dog 20); train.json
    """

    place: str
    format: str
    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    has_masks: bool
    remarks: Sequence[str] = ()
    without_mask: int = 0

    def __str__(self) -> str:
        some = (
            f'with masks, {counted(self.without_mask, "object")} without'
            if self.without_mask
            else 'boxes without masks'
        )
        masks = 'with masks' if self.has_masks else some
        noun = 'class' if len(self.classes) == 1 else 'classes'
        lines = [f'data {self.place}: {self.format}, {masks}; {len(self.classes)} {noun}.']
        for name, split in self.splits.items():
            shown = ', '.join(f'{name} {split.objects.get(name, 0)}' for name in islice(self.classes, SHOWN_CLASSES))
            more = ', ...' if len(self.classes) > SHOWN_CLASSES else ''
            lines.append(
                f'  {name}: {counted(split.image_count, "image")} in {split.images}, '
                f'{counted(sum(split.objects.values()), "object")} '
                f'({shown}{more}); {split.annotations}'
            )
        return '\n'.join([*lines, *(f'  {remark}' for remark in self.remarks)])


@dataclass(frozen=True)
class MapSplit:
    """One split of a dataset of label maps.

    Args:
        images: The folder of its images.
        maps: The folder of its label maps.
        names: A file with the images' names, a line each, without their ending; '' if it is all that the folder holds.
        count: How many images it has.
    """

    images: str
    maps: str
    names: str
    count: int


@dataclass(frozen=True)
class MapDescription:
    """A dataset of label maps that was recognized.

    Args:
        place: The folder that was named.
        classes: The names of its classes, in the order of their labels.
        splits: 'train', 'val' and 'test', as it has them.
        image_ending: How the images' names end, such as '.jpg'.
        map_ending: How the label maps' names end in its place, such as '_mask.png'.
        ignores_zero: Whether a pixel of 0 is ignored, and the first class is 1; otherwise the first class is 0.
        remarks: Sentences on what was chosen or left out, and why.

    Example:
        >>> splits = dict(train=MapSplit('images/train', 'masks/train', '', 60))
        >>> print(MapDescription('street', ('road', 'sky'), splits, '.jpg', '.png', ignores_zero=False))
        data street: label maps; 2 classes, from 0: road, sky.
          train: 60 images in images/train (.jpg), maps in masks/train (.png)
    """

    place: str
    classes: tuple[str, ...]
    splits: Mapping[str, MapSplit]
    image_ending: str
    map_ending: str
    ignores_zero: bool
    remarks: Sequence[str] = ()

    def __str__(self) -> str:
        shown = _shown(self.classes)
        noun = 'class' if len(self.classes) == 1 else 'classes'
        first = '1; 0 is ignored' if self.ignores_zero else '0'
        lines = [f'data {self.place}: label maps; {len(self.classes)} {noun}, from {first}: {shown}.']
        for name, split in self.splits.items():
            chosen = f', those in {split.names}' if split.names else ''
            ending = f' ({self.image_ending})' if self.image_ending else ''
            lines.append(
                f'  {name}: {counted(split.count, "image")} in {split.images}{ending}, maps in {split.maps} '
                f'({self.map_ending}){chosen}'
            )
        return '\n'.join([*lines, *(f'  {remark}' for remark in self.remarks)])


@dataclass(frozen=True)
class PanopticSplit:
    """One split of a dataset of things and stuff.

    Args:
        annotations: Its annotation file, of COCO's panoptic form.
        images: The folder of its images.
        maps: The folder of its maps of segments.
        image_count: How many images it has.
        segments: How many segments.
    """

    annotations: str
    images: str
    maps: str
    image_count: int
    segments: int


@dataclass(frozen=True)
class PanopticDescription:
    """A dataset of things and stuff that was recognized.

    Args:
        place: The folder that was named.
        things: The names of the classes of things, in the order of their labels.
        stuff: Those of stuff, whose labels follow.
        splits: 'train', 'val' and 'test', as it has them.
        remarks: Sentences on what was chosen or left out, and why.

    Example:
        >>> split = PanopticSplit('panoptic_train.json', 'train', 'panoptic_train', 60, 200)
        >>> print(PanopticDescription('street', ('car',), ('road', 'sky'), dict(train=split)))
        data street: COCO panoptic; 1 things: car; 2 stuff: road, sky.
          train: 60 images in train, 200 segments in panoptic_train; panoptic_train.json
    """

    place: str
    things: tuple[str, ...]
    stuff: tuple[str, ...]
    splits: Mapping[str, PanopticSplit]
    remarks: Sequence[str] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes, in the order of their labels."""
        return (*self.things, *self.stuff)

    def __str__(self) -> str:
        lines = [
            f'data {self.place}: COCO panoptic; {len(self.things)} things: {_shown(self.things)}; {len(self.stuff)} '
            f'stuff: {_shown(self.stuff)}.'
        ]
        for name, split in self.splits.items():
            lines.append(
                f'  {name}: {counted(split.image_count, "image")} in {split.images}, '
                f'{counted(split.segments, "segment")} in {split.maps}; '
                f'{split.annotations}'
            )
        return '\n'.join([*lines, *(f'  {remark}' for remark in self.remarks)])


def _shown(names: Sequence[str]) -> str:
    return ', '.join(names[:SHOWN_CLASSES]) + (', ...' if len(names) > SHOWN_CLASSES else '')
