"""Reads TIFF files of more channels than OpenCV takes, by the library tifffile, an extra."""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ENDINGS = ('.tif', '.tiff')
# OpenCV reads one of 2 channels, and no image of more than 4.
OPENCV_CHANNELS = (1, 3, 4)


def has_many_channels(file: str) -> bool:
    """Return whether a file is a TIFF whose channels OpenCV does not read; False without tifffile.

    Args:
        file: The file.

    Example:
        >>> has_many_channels('a.png')
        False
    """
    if Path(file).suffix.lower() not in ENDINGS or find_spec('tifffile') is None:
        return False
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            return tiff.pages.first.samplesperpixel not in OPENCV_CHANNELS
    except (OSError, ValueError):
        # tifffile's own error is a ValueError.
        return False


def decode_tiff(content: bytes) -> np.ndarray | None:
    """Return the pixels of a TIFF file, with its channels as stored; None if they cannot be read.

    Args:
        content: The content of the file.

    Example:
        >>> decode_tiff(b'no image') is None
        True
    """
    if find_spec('tifffile') is None:
        return None
    import tifffile

    try:
        return tifffile.imread(io.BytesIO(content))
    except (OSError, ValueError, IndexError):
        return None
