"""Judges the values of many label maps together."""

from collections.abc import Iterator, Sequence

import numpy as np

from convnext_dense.datasets.label_maps.label_rules import LARGEST, LabelRules, shown

# A share of 0 below which it is taken for noise.
NOTED_SHARE = 0.01
# Fewer maps may well have one class.
ENOUGH_MAPS = 4
BOTH_PLACES = "in the dataset and in its pipeline's LoadAnnotations"


class Histogram:
    """Counts the values of label maps.

    Example:
        >>> histogram = Histogram()
        >>> histogram.add(np.array([[0, 0], [0, 7]], np.uint8))
        [0, 7]
        >>> histogram.values, histogram.share(0)
        ([0, 7], 0.75)
    """

    def __init__(self) -> None:
        self.pixels = np.zeros(LARGEST + 1, np.int64)
        self.maps = 0

    def add(self, label_map: np.ndarray) -> list[int]:
        """Count a map's values, and return them."""
        return self.add_pixels(count_values(label_map))

    def add_pixels(self, pixels: np.ndarray) -> list[int]:
        """Count a map by how many pixels of each value it has, and return the values."""
        self.pixels += pixels
        self.maps += 1
        return np.flatnonzero(pixels).tolist()

    @property
    def values(self) -> list[int]:
        """The values that occur."""
        return np.flatnonzero(self.pixels).tolist()

    def share(self, value: int) -> float:
        """Return the share of a value in all pixels, from 0 to 1."""
        return float(self.pixels[value] / max(self.pixels.sum(), 1))


def count_values(label_map: np.ndarray) -> np.ndarray:
    """Return how many pixels a map of 8 bits has of each value, with shape (256,)."""
    return np.bincount(label_map.ravel(), minlength=LARGEST + 1)


def find_in_values(
    histogram: Histogram, rules: LabelRules, classes: Sequence[str], is_public: bool = False
) -> Iterator[tuple[str, bool]]:
    """Yield what is wrong with the values of a dataset's maps, each of which is a class or ignored.

    Args:
        histogram: The values.
        rules: What they mean.
        classes: The names of the classes.
        is_public: Whether it is known how the maps count, as those of a public dataset.

    Yields:
        A sentence, and whether it is an error.
    """
    values = histogram.values
    if not values or len(classes) < 2:
        return
    ignored = [value for value in values if rules.is_ignored[value]]
    seen = sorted({int(rules.table[value]) for value in values if not rules.is_ignored[value]})
    held = f'the {histogram.maps} label maps that were read hold the value{"s" if len(values) > 1 else ""}'
    held = f'{held} {shown(values)}'
    if not seen:
        yield f'every pixel is ignored: {held}; {rules.meaning}{_remedy(values, rules)}.', True
    elif len(seen) == 1 and _remedy(values, rules):
        sentence = f'every pixel is {classes[seen[0]]!r} or ignored: {held}; {rules.meaning}{_remedy(values, rules)}.'
        # A little 0 is what ADE20K's maps have.
        yield sentence, LARGEST in values or histogram.share(0) >= NOTED_SHARE
    elif len(seen) == 1 and histogram.maps >= ENOUGH_MAPS:
        what = f'every pixel is {classes[seen[0]]!r}' + (' or ignored' if ignored else '')
        yield f'{what}: {held}; {rules.meaning}.', False
    elif len(seen) > 1 and rules.reduce_zero_label and not is_public:
        yield from _find_shift(histogram, classes)


def _remedy(values: list[int], rules: LabelRules) -> str:
    """Return what a binary map lacks, as the end of a sentence; '' if the values are not those of one."""
    labeled = set(values) - {LARGEST}
    if set(values) == {0, LARGEST} and rules.is_ignored[LARGEST]:
        zero = f', and set reduce_zero_label=False {BOTH_PLACES}' if rules.reduce_zero_label else ''
        return f'; write 1 for the class that is 255{zero}'
    if rules.reduce_zero_label and 0 in labeled and labeled <= {0, 1}:
        return f'; if 0 is a class, set reduce_zero_label=False {BOTH_PLACES}'
    return ''


def _find_shift(histogram: Histogram, classes: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield a warning if 0 seems to be the first class, and not what is ignored. The values alone cannot tell."""
    last = len(classes)
    labeled = set(histogram.values) - {LARGEST}
    never = f', and no map has {last}, which would be {classes[-1]!r}' if last not in labeled else ''
    if labeled == set(range(last)) or histogram.share(0) >= NOTED_SHARE:
        sentence = (
            f'reduce_zero_label=True ignores the value 0, which {histogram.share(0):.0%} of the pixels '
            f'have, and makes 1 {classes[0]!r}{never}; if 0 is {classes[0]!r}, set reduce_zero_label=False '
            f'{BOTH_PLACES}.'
        )
        yield sentence, False
