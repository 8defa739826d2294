"""The EXIF tag that turns an image when it is read."""

import numpy as np
from PIL import ExifTags, Image

from convnext_dense.regular_files import refuse_special

UPRIGHT = 1
# Those that exchange height and width.
SIDEWAYS = (5, 6, 7, 8)
# Those that, after that, exchange up and down, and left and right.
FLIPPED_ROWS, FLIPPED_COLUMNS = (3, 4, 7, 8), (2, 3, 6, 7)


def orientation(file: str) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 if it has none or cannot be read.

    Args:
        file: A path on this machine.

    Example:
        >>> orientation('no-such.jpg')
        1
    """
    try:
        refuse_special(file)
        with Image.open(file) as image:
            found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # noqa: BLE001 - decoders raise anything
        return UPRIGHT
    return found if found in range(1, 9) else UPRIGHT


def turn(array: np.ndarray, tag: int) -> np.ndarray:
    """Turn a map, or an image, as an image with this orientation is turned when it is read.

    Args:
        array: The map, with shape (height, width), or the image, with shape (height, width, channels).
        tag: The orientation, 1 to 8.

    Example:
        >>> turn(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), 6).tolist()
        [[4, 1], [5, 2], [6, 3]]
    """
    if tag in SIDEWAYS:
        array = array.swapaxes(0, 1)
    rows, columns = (slice(None, None, -1 if tag in tags else 1) for tags in (FLIPPED_ROWS, FLIPPED_COLUMNS))
    return np.ascontiguousarray(array[rows, columns])
