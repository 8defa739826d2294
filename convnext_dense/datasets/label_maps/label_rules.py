"""What the values of a label map mean to a segmenter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convnext_dense.wording import counted

# How many values a sentence shows.
SHOWN_VALUES = 6
LARGEST = 255


@dataclass(frozen=True)
class LabelRules:
    """Which class mmseg makes of each value of a label map.

    Args:
        num_classes: How many classes there are; None if it is not known, and any value is one.
        ignore_index: The class that is ignored.
        reduce_zero_label: Whether 0 is ignored, and 1 is the first class.
        label_map: The classes that other classes become, if not all of a dataset's are used.

    Example:
        >>> rules = LabelRules(num_classes=3, reduce_zero_label=True)
        >>> rules.table[[0, 1, 3, 4, 255]].tolist()
        [255, 0, 2, 3, 255]
        >>> rules.beyond([0, 1, 3, 4, 255]), rules.ranges_beyond
        ([4], [(3, 254)])
        >>> rules.meaning
        'with 3 classes and reduce_zero_label=True, 1 to 3 are classes, and 0 and 255 are ignored'
    """

    num_classes: int | None = None
    ignore_index: int = LARGEST
    reduce_zero_label: bool = False
    label_map: dict[int, int] | None = None

    @cached_property
    def table(self) -> np.ndarray:
        """The class of each value of 8 bits, with shape (256,)."""
        table = np.arange(LARGEST + 1, dtype=np.uint8)
        if self.reduce_zero_label:
            table -= 1
            table[[0, LARGEST]] = LARGEST
        if self.label_map:
            before = table.copy()
            for old, new in self.label_map.items():
                table[before == old] = new
        return table

    @cached_property
    def is_ignored(self) -> np.ndarray:
        """Whether each value is ignored, with shape (256,)."""
        return self.table == self.ignore_index

    @cached_property
    def is_beyond(self) -> np.ndarray:
        """Whether each value is neither a class nor ignored, with shape (256,)."""
        if self.num_classes is None:
            return np.zeros_like(self.is_ignored)
        return (self.table >= self.num_classes) & ~self.is_ignored

    @cached_property
    def ranges_beyond(self) -> list[tuple[int, int]]:
        """The first and the last of the numbers that the table may give and that are neither a class nor ignored."""
        if self.num_classes is None:
            return []
        ranges = (self.num_classes, self.ignore_index - 1), (max(self.num_classes, self.ignore_index + 1), LARGEST)
        return [(first, min(last, LARGEST)) for first, last in ranges if first <= last]

    def beyond(self, values: Sequence[int]) -> list[int]:
        """Return those of some values that are neither a class nor ignored."""
        return [value for value in values if value > LARGEST or value < 0 or self.is_beyond[value]]

    @property
    def meaning(self) -> str:
        """Which values are classes, and which are ignored, as part of a sentence."""
        classes = np.flatnonzero(~self.is_beyond & ~self.is_ignored)
        is_range = len(classes) > 2 and len(classes) == classes[-1] - classes[0] + 1
        allowed = f'{classes[0]} to {classes[-1]}' if is_range else shown(classes.tolist())
        allowed += ' are classes' if len(classes) > 1 else ' is a class'
        ignored = np.flatnonzero(self.is_ignored).tolist()
        ignored = f'{shown(ignored)} {"are" if len(ignored) > 1 else "is"} ignored' if ignored else 'none is ignored'
        return (
            f'with {counted(self.num_classes or 0, "class")} and reduce_zero_label={self.reduce_zero_label}, '
            f'{allowed}, and {ignored}'
        )


def shown(values: Sequence[int]) -> str:
    """Return some numbers as text, cut if they are many.

    Example:
        >>> shown([0, 255]), shown([7]), shown(range(100))
        ('0 and 255', '7', '0, 1, 2, 3, 4, 5, ... and 99')
    """
    texts = [f'{value:g}' for value in values]
    if len(texts) > SHOWN_VALUES + 1:
        texts = [*texts[:SHOWN_VALUES], '...', texts[-1]]
        return f'{", ".join(texts[:-1])} and {texts[-1]}'
    return ' and '.join([', '.join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
