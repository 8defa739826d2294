"""What a dataset on disk holds, whatever its format."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

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

    def __str__(self) -> str:
        masks = 'with masks' if self.has_masks else 'boxes without masks'
        noun = 'class' if len(self.classes) == 1 else 'classes'
        lines = [f'data {self.place}: {self.format}, {masks}; {len(self.classes)} {noun}.']
        for name, split in self.splits.items():
            shown = ', '.join(f'{name} {split.objects.get(name, 0)}' for name in islice(self.classes, SHOWN_CLASSES))
            more = ', ...' if len(self.classes) > SHOWN_CLASSES else ''
            lines.append(
                f'  {name}: {split.image_count} images in {split.images}, {sum(split.objects.values())} objects '
                f'({shown}{more}); {split.annotations}'
            )
        return '\n'.join([*lines, *(f'  {remark}' for remark in self.remarks)])
