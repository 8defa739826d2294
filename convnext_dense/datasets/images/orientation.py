"""The EXIF tag that turns an image when it is read."""

from functools import cache
from io import BytesIO

import cv2
import numpy as np
from PIL import ExifTags, Image

from convnext_dense.regular_files import refuse_special

UPRIGHT = 1
# Those that exchange height and width.
SIDEWAYS = (5, 6, 7, 8)
# Those that, after that, exchange up and down, and left and right.
FLIPPED_ROWS, FLIPPED_COLUMNS = (3, 4, 7, 8), (2, 3, 6, 7)


def orientation(file: str, kind: str | None = None) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 if it has none or cannot be read.

    Args:
        file: A path on this machine.
        kind: Pillow's name of a format; an image of another counts as one without an orientation.

    Example:
        >>> orientation('no-such.jpg')
        1
    """
    try:
        refuse_special(file)
        with Image.open(file) as image:
            if kind not in (None, image.format):
                return UPRIGHT
            found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # noqa: BLE001 - decoders raise anything
        return UPRIGHT
    return found if found in range(1, 9) else UPRIGHT


@cache
def turns_webp() -> bool:
    """Return whether OpenCV turns WebP images as their EXIF orientation says; version 4.11 does not, 5 does.

    Example:
        >>> turns_webp() in (True, False)
        True
    """
    file, exif = BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = SIDEWAYS[0]
    Image.new('RGB', (2, 1)).save(file, 'WEBP', exif=exif)
    return cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR).shape[:2] == (2, 1)


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
