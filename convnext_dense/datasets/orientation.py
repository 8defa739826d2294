"""The EXIF tag that turns an image when it is read."""

import numpy as np
from PIL import ExifTags, Image, ImageOps

UPRIGHT = 1
# Those that exchange height and width.
SIDEWAYS = (5, 6, 7, 8)


def orientation(file: str) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 if it has none or cannot be read.

    Args:
        file: A path on this machine.

    Example:
        >>> orientation('no-such.jpg')
        1
    """
    try:
        with Image.open(file) as image:
            found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # noqa: BLE001 - decoders raise anything
        return UPRIGHT
    return found if found in range(1, 9) else UPRIGHT


def turn(array: np.ndarray, tag: int) -> np.ndarray:
    """Turn a map as an image with this orientation is turned when it is read.

    Args:
        array: The map, with shape (height, width).
        tag: The orientation, 1 to 8.

    Example:
        >>> turn(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), 6).tolist()
        [[4, 1], [5, 2], [6, 3]]
    """
    image = Image.fromarray(array)
    image.getexif()[ExifTags.Base.Orientation] = tag
    return np.array(ImageOps.exif_transpose(image))
