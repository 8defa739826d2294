"""Flips images, and takes their channels apart, by OpenCV."""

import cv2
import mmcv
import numpy as np

CODES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}
TYPES = (np.uint8, np.float32)
# OpenCV flips no more.
MOST_CHANNELS = 4


def flip(values: np.ndarray, direction: str) -> np.ndarray:
    """Return an array flipped, in the order of its values if it is one that OpenCV flips.

    mmcv's is a view, which each later transform copies slowly.

    Args:
        values: The array, (height, width) or (height, width, channels).
        direction: 'horizontal', 'vertical' or 'diagonal'.

    Example:
        >>> flip(np.array([[1, 2]], np.uint8), 'horizontal').tolist()
        [[2, 1]]
    """
    if values.dtype not in TYPES or values.shape[2:] > (MOST_CHANNELS,):
        return mmcv.imflip(values, direction)
    return cv2.flip(values, CODES[direction]).reshape(values.shape)


def channels_first(image: np.ndarray) -> np.ndarray:
    """Return an image with its channels one after another in memory.

    Args:
        image: The image, (height, width, channels). One without channels, or of a type that
            no pipeline has, is returned as it is.

    Returns:
        The image, still (height, width, channels).

    Example:
        >>> image = channels_first(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
        >>> image.shape, image.transpose(2, 0, 1).flags.c_contiguous
        ((2, 2, 3), True)
    """
    if image.ndim != 3 or image.dtype not in TYPES:
        return image
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    # OpenCV takes rows apart slowly where they are not one after another.
    cv2.split(np.ascontiguousarray(image), list(planes))
    return planes.transpose(1, 2, 0)
