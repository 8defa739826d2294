"""Masks as files and COCO's form have them."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from convnext_dense.regular_files import refuse_special


def read_pixels(file: Path | BinaryIO, mode: str | None = None) -> np.ndarray:
    """Return the pixels of an image.

    Args:
        file: The image.
        mode: What to convert it to, such as 'L', as Pillow calls it.

    Raises:
        ValueError: If it cannot be read.

    Example:
        >>> read_pixels(Path('setup.cfg'))
        Traceback (most recent call last):
        ...
        ValueError: it cannot be read: cannot identify image file 'setup.cfg'.
    """
    try:
        if isinstance(file, Path):
            refuse_special(file)
        with Image.open(file) as picture:
            return np.asarray(picture.convert(mode) if mode else picture)
    except Exception as error:
        # Decoders raise anything.
        raise ValueError(f'it cannot be read: {error}.') from error


def encode_mask(mask: np.ndarray) -> dict:
    """Return a mask as a compressed RLE.

    Args:
        mask: With shape (height, width).

    Example:
        >>> encode_mask(np.eye(2, dtype=bool))
        {'size': [2, 2], 'counts': '0120'}
    """
    found = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {'size': list(found['size']), 'counts': found['counts'].decode()}


def mask_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box around a mask that is not empty: x, y, width and height.

    Args:
        mask: With shape (height, width).

    Example:
        >>> mask_box(np.eye(3, dtype=bool))
        (0.0, 0.0, 3.0, 3.0)
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return float(columns[0]), float(rows[0]), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)
