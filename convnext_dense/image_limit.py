"""Limits how many pixels an image may have, so that a small file cannot take all memory."""

import os

PIXEL_LIMIT_VARIABLE = 'OPENCV_IO_MAX_IMAGE_PIXELS'
# Pillow's own limit, above which it raises. OpenCV's is a billion.
MAX_PIXELS = 178_956_970


def limit_pixels() -> None:
    """Make OpenCV refuse larger images than Pillow does, unless the variable is set. It reads it when it is imported.

    Example:
        >>> limit_pixels()
        >>> int(os.environ[PIXEL_LIMIT_VARIABLE]) > 0
        True
    """
    os.environ.setdefault(PIXEL_LIMIT_VARIABLE, str(MAX_PIXELS))
