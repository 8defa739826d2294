"""Makes the splits that training needs of those that a dataset has."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from convnext_dense.datasets.formats.places import SPLITS
from convnext_dense.errors import UsageError
from convnext_dense.wording import counted

VAL_FRACTION = 0.2
SEED = 0

Image = TypeVar('Image')


def complete_splits(
    splits: Mapping[str, Sequence[Image]], place: Path | str
) -> tuple[dict[str, Sequence[Image]], list[str]]:
    """Return the splits 'train' and 'val', and 'test' if there is one, and sentences on what was chosen.

    Without 'val', 'test' is taken for it; with neither, part of the images is.

    Args:
        splits: The images of each split; '' if it is not known which.
        place: Where they are, for what is said.

    Raises:
        UsageError: If there is none for training, or too few images to draw a part of.

    Example:
        >>> complete_splits({'train': 'abc', 'test': 'de'}, 'letters')
        ({'train': 'abc', 'val': 'de', 'test': 'de'}, ['There is no split for validation; test is taken for it.'])
    """
    found = {name: images for name, images in splits.items() if images}
    left = found.pop('', ()) if len(found) > 1 else ()
    remarks = [f'left out: {counted(len(left), "image")}, since no name says of which split.'] if left else []
    if list(found) in (['train'], ['']):
        (images,) = found.values()
        said = f'There is one split: {VAL_FRACTION:.0%} of its images are for validation, drawn with seed {SEED}.'
        return draw_parts(images, place), [*remarks, said]
    if 'train' not in found:
        has = ' and '.join(f'{len(images)} for {name}' for name, images in found.items()) or 'none at all'
        raise UsageError(f'data: {place} has no images for training, but {has}.')
    if 'val' not in found:
        found['val'] = found['test']
        remarks.append('There is no split for validation; test is taken for it.')
    return {name: found[name] for name in SPLITS if name in found}, remarks


def draw_parts(images: Sequence[Image], place: Path | str) -> dict[str, Sequence[Image]]:
    """Return a part of a dataset's images for training and one for validation, always the same.

    Args:
        images: The images.
        place: Where they are, for what is said.

    Raises:
        UsageError: If there are fewer than two.

    Example:
        >>> draw_parts('abcde', 'letters')
        {'train': ['a', 'b', 'c', 'e'], 'val': ['d']}
    """
    if len(images) < 2:
        raise UsageError(
            f'data: {place} has {counted(len(images), "image")}; training and validation need one each at least.'
        )
    chosen = set(random.Random(SEED).sample(range(len(images)), max(1, round(len(images) * VAL_FRACTION))))
    return {
        'train': [image for i, image in enumerate(images) if i not in chosen],
        'val': [image for i, image in enumerate(images) if i in chosen],
    }
