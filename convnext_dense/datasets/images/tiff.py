"""Reads TIFF files of more channels than OpenCV takes, by the library tifffile, an extra."""

import io
from importlib.util import find_spec

import numpy as np

MARKS = (b'II*\0', b'MM\0*')
# OpenCV reads one channel of 2, and nothing of more than 4.
OPENCV_CHANNELS = (1, 3, 4)


def decode_many_channels(content: bytes) -> np.ndarray | None:
    """Return the pixels of a TIFF file whose channels OpenCV does not read, with shape (height, width, channels).

    Args:
        content: The content of a file.

    Returns:
        The pixels; None if the file is another one, or tifffile is not installed.

    Example:
        >>> decode_many_channels(b'no image') is None
        True
    """
    if not content.startswith(MARKS) or not has_tifffile():
        return None
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            return None if tiff.pages.first.samplesperpixel in OPENCV_CHANNELS else tiff.asarray()
    except (OSError, ValueError, IndexError):
        # tifffile's own error is a ValueError.
        return None


def has_tifffile() -> bool:
    """Return whether tifffile is installed.

    Example:
        >>> isinstance(has_tifffile(), bool)
        True
    """
    return find_spec('tifffile') is not None
