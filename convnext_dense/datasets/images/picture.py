"""Makes a picture to draw on of an image of any depth and any number of channels."""

import cv2
import numpy as np

from convnext_dense.datasets.images.tiff import decode_many_channels

COLORS = 3
DARKEST, BRIGHTEST = 1, 99


def picture(content: bytes, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Return an image as RGB of 8 bits, with shape (height, width, 3).

    Deep images are stretched so that one percent of the values is black and one percent white. Of more than three
    channels the first three are taken.

    Args:
        content: The content of the file.
        shape: The height and width that the model saw. If the image has them only without its EXIF orientation, it is
            left as stored; if it cannot be read at all, it is gray.

    Example:
        >>> deep = np.arange(64, dtype=np.uint16).reshape(8, 8)
        >>> shown = picture(cv2.imencode('.png', deep)[1].tobytes())
        >>> shown.shape, shown.dtype, int(shown.max())
        ((8, 8, 3), dtype('uint8'), 255)
    """
    if (channels := decode_many_channels(content)) is not None:
        return as_picture(channels, is_bgr=False)
    data = np.frombuffer(content, np.uint8)
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR
    image = cv2.imdecode(data, flags)
    if image is not None and shape is not None and image.shape[:2] != tuple(shape):
        as_stored = cv2.imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        image = as_stored if as_stored.shape[:2] == tuple(shape) else image
    if image is None:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        return np.full((*(shape or (1, 1)), COLORS), 127, np.uint8)
    return as_picture(image)


def as_picture(image: np.ndarray, is_bgr: bool = True) -> np.ndarray:
    """Return a decoded image as RGB of 8 bits, with shape (height, width, 3), as `picture` does.

    Args:
        image: The image, with shape (height, width) or (height, width, channels).
        is_bgr: Whether its first channel is blue, as OpenCV's are; otherwise it is red.

    Example:
        >>> as_picture(np.zeros((2, 2, 6), np.uint8)).shape
        (2, 2, 3)
    """
    if image.ndim == 2 or image.shape[2] < COLORS:
        image = np.dstack([image.reshape(*image.shape[:2], -1)[..., 0]] * COLORS)
    image = image[..., :COLORS]
    if is_bgr:
        image = image[..., ::-1]
    if image.dtype != np.uint8:
        levels = image.astype(np.float64)
        low, high = np.nanpercentile(levels, (DARKEST, BRIGHTEST))
        image = np.clip((np.nan_to_num(levels) - low) / max(high - low, 1e-12) * 255, 0, 255)
    return np.ascontiguousarray(image, dtype=np.uint8)
