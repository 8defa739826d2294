"""Looks at what the pixels of label maps are: values, or colors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.errors import UsageError
from convnext_dense.regular_files import refuse_special

IGNORED = 255
MOST_VALUES = 65536
# More colors than that are no classes, but a photo.
MOST_COLORS = 512

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Pixels:
    """What the pixels of some label maps are.

    Args:
        values: The values of those of one channel, and of gray ones.
        colors: The colors of those that have a color that is not gray.
        needs_turning: Whether some have more channels than one, or one bit.
    """

    values: frozenset[int] = frozenset()
    colors: frozenset[Color] = frozenset()
    needs_turning: bool = False
    files: dict[object, Path] = field(default_factory=dict)


def read_map(path: Path, by_color: bool) -> np.ndarray:
    """Return a label map with shape (height, width), or its colors with shape (height, width, 3).

    Args:
        path: Its file.
        by_color: Whether to return the colors of one with a palette, too.

    Raises:
        ValueError: If it cannot be read.

    Example:
        >>> read_map(Path('setup.cfg'), by_color=False)
        Traceback (most recent call last):
        ...
        ValueError: it cannot be read as a label map: cannot identify image file 'setup.cfg'.
    """
    try:
        refuse_special(path)
        with Image.open(path) as image:
            if image.mode in ('RGBA', 'PA', 'CMYK') or (image.mode == 'P' and by_color):
                return np.asarray(image.convert('RGB'))
            if image.mode == '1':
                return np.asarray(image.convert('L'))
            values = np.asarray(image)
    except Exception as error:
        # Decoders raise anything.
        raise ValueError(f'it cannot be read as a label map: {error}.') from error
    if values.ndim == 3 and values.shape[2] == 2:
        return values[..., 0]
    if values.ndim not in (2, 3) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f'it cannot be read as a label map: it has {values.dtype} values.')
    if values.ndim == 2 and (values.min(initial=0) < 0 or values.max(initial=0) >= MOST_VALUES):
        raise ValueError(f'it has values from {values.min()} to {values.max()}; classes are 0 to 255.')
    return values


def look_at(paths: Sequence[Path], by_color: bool) -> Pixels:
    """Return what the pixels of label maps are.

    Args:
        paths: Their files.
        by_color: Whether those with a palette are looked at by its colors.

    Raises:
        UsageError: If one cannot be read, or is a photo.

    Example:
        >>> look_at([], by_color=False).values
        frozenset()
    """
    values: set[int] = set()
    colors: set[Color] = set()
    files: dict[object, Path] = {}
    needs_turning = False
    for path in paths:
        try:
            found = read_map(path, by_color)
        except ValueError as error:
            raise UsageError(f'data: {path}: {error}') from error
        with Image.open(path) as image:
            needs_turning |= image.mode in ('1', 'LA') or found.ndim == 3
        if found.ndim == 3 and not is_gray(found):
            new = unique_colors(found)
            if len(new) > MOST_COLORS:
                raise UsageError(f'data: {path} has {len(new)} colors; it seems to be a photo, and no label map.')
            files |= {color: path for color in new if color not in files}
            colors |= new
        else:
            new = set(np.unique(found[..., 0] if found.ndim == 3 else found).tolist())
            files |= {value: path for value in new if value not in files}
            values |= new
    return Pixels(frozenset(values), frozenset(colors), needs_turning, files)


def is_gray(colors: np.ndarray) -> bool:
    """Return whether a map of colors has gray ones alone.

    Args:
        colors: With shape (height, width, 3).

    Example:
        >>> is_gray(np.full((2, 2, 3), 7))
        True
    """
    return bool((colors[..., :1] == colors).all())


def packed(colors: np.ndarray) -> np.ndarray:
    """Return each color as a number.

    Args:
        colors: With shape (..., 3), as integers of 0 to 255.

    Example:
        >>> packed(np.array([[1, 2, 3]])).tolist()
        [66051]
    """
    wide = colors.astype(np.int64)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def unique_colors(colors: np.ndarray) -> set[Color]:
    """Return the colors in a map.

    Args:
        colors: With shape (height, width, 3).

    Example:
        >>> unique_colors(np.full((2, 2, 3), 7))
        {(7, 7, 7)}
    """
    return {(number >> 16, number >> 8 & 255, number & 255) for number in np.unique(packed(colors)).tolist()}
