"""What a loader makes of an image that is not 8-bit color, and the sentences on it."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from convnext_dense.errors import UsageError
from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE
from convnext_dense.regular_files import read_bytes, refuse_special

# A 16-bit image of which the loader keeps so few levels, and less than a quarter of them, is squeezed.
FEW_LEVELS = 64
# If less of the fourth channel is 0 or 255, it is no mask of transparency.
MASK_SHARE = 0.5


@dataclass(frozen=True)
class ImageHeader:
    """What the beginning of an image file says.

    Args:
        size: Height and width as stored; None if Pillow does not know the file.
        mode: Pillow's mode, such as 'RGB'.
        bits: How many a channel has.
        format: Pillow's name of the format, such as 'PNG'.
        frames: How many images the file has.
    """

    size: tuple[int, int] | None = None
    mode: str = ''
    bits: int = 8
    format: str = ''
    frames: int = 1


def read_header(file: str) -> ImageHeader:
    """Return what an image's header says, without decoding it.

    Args:
        file: A path on this machine.

    Raises:
        UsageError: If the image has more pixels than are allowed.

    Example:
        >>> read_header('no-such.jpg').size is None
        True
    """
    try:
        refuse_special(file)
        with open(file, 'rb') as stream:
            start = stream.read(26)
        with any_size(), Image.open(file) as image:
            width, height = image.size
            mode, kind, frames = image.mode, image.format or '', getattr(image, 'n_frames', 1)
    except Exception:  # noqa: BLE001 - decoders raise anything; another one may know the file
        return ImageHeader()
    limit = int(os.environ.get(PIXEL_LIMIT_VARIABLE, 2**30))
    if width * height > limit:
        raise UsageError(
            f'{file}: the image has {width}x{height} = {width * height:,} pixels; more than {limit:,} are refused; '
            f'cut it into tiles, or set {PIXEL_LIMIT_VARIABLE}.'
        )
    # A PNG says its bits here; Pillow's modes do not.
    bits = start[24] if start.startswith(b'\x89PNG') and len(start) > 24 else 16 if mode.startswith('I') else 8
    return ImageHeader((height, width), mode, bits, kind, frames)


@contextmanager
def any_size() -> Generator[None]:
    """Make Pillow open images of any size."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def read_pixels(file: str | Path, flags: int) -> np.ndarray | None:
    """Return an image's pixels; None if it cannot be read. OpenCV's own reader takes no name that is no UTF-8.

    Args:
        file: The image.
        flags: OpenCV's, such as `cv2.IMREAD_UNCHANGED`.

    Example:
        >>> read_pixels('no-such.png', cv2.IMREAD_COLOR) is None
        True
    """
    try:
        content = np.frombuffer(read_bytes(file), np.uint8)
    except OSError:
        return None
    return cv2.imdecode(content, flags) if len(content) else None


def squeezed_levels(file: str, loaded: np.ndarray) -> str | None:
    """Return the sentence on a 16-bit image of which the loader keeps few levels; None if it keeps enough.

    Args:
        file: The image.
        loaded: What the loader makes of it.
    """
    values = np.asarray(read_pixels(file, cv2.IMREAD_UNCHANGED))
    levels, kept = len(np.unique(values)), len(np.unique(loaded))
    if kept >= FEW_LEVELS or kept * 4 > levels:
        return None
    return (
        f'{file} has 16 bits and values from {values.min()} to {values.max()}, of which the loader keeps '
        f"{kept} levels of {levels}; set color_type='unchanged' in LoadImageFromFile, and mean, std and "
        'in_channels of the model to fit'
    )


def lost_channel(file: str) -> str | None:
    """Return the sentence on a fourth channel that is no mask of transparency, which is mostly 0 or 255.

    Args:
        file: The image.
    """
    image = read_pixels(file, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    fourth = image[..., 3]
    opaque = 2 ** (8 * fourth.dtype.itemsize) - 1
    if np.isin(fourth, (0, opaque)).mean() >= MASK_SHARE:
        return None
    return f"{file} has a fourth channel, which the loader drops; set color_type='unchanged' to keep it"


def unseen_orientation(file: str) -> str:
    """Return the sentence on an image whose annotations are for the pixels as stored.

    Args:
        file: The image.
    """
    return (
        f'{file} is turned by its EXIF orientation, and its annotations are for the pixels as stored; it is '
        "read as stored; set color_type='color_ignore_orientation' in LoadImageFromFile for other tools"
    )


def unclear_orientation(file: str) -> str:
    """Return the sentence on a turned image whose size does not tell what its annotations are for.

    Args:
        file: The image.
    """
    return (
        f'{file} is turned by its EXIF orientation when it is read, and its size does not tell whether its '
        "annotations are; if they are not, set color_type='color_ignore_orientation' in LoadImageFromFile"
    )
