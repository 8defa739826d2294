"""Flips images and label maps at random."""

from typing import cast

import cv2
import mmcv
import numpy as np
from mmseg.datasets.transforms import RandomFlip

from convnext_dense.registry import TRANSFORMS

CODES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}
# OpenCV flips no more.
MOST_CHANNELS = 4


@TRANSFORMS.register_module()
class SegRandomFlip(RandomFlip):
    """mmseg's RandomFlip, which flips by OpenCV. mmseg's image is a view that each later transform copies slowly.

    Its arguments are mmseg's.

    Example:
        >>> SegRandomFlip(prob=1.0)(dict(img=np.array([[1, 2]], np.uint8)))['img'].tolist()
        [[2, 1]]
    """

    def _flip(self, results: dict) -> None:
        image = results['img']
        super()._flip(results)
        results['img'] = flip(image, results['flip_direction'])

    def _flip_seg_map(self, seg_map: object, direction: str) -> np.ndarray:
        if self.swap_seg_labels is not None:
            return super()._flip_seg_map(cast(dict, seg_map), direction)
        return flip(cast(np.ndarray, seg_map), direction)


def flip(values: np.ndarray, direction: str) -> np.ndarray:
    """Return an array flipped, in the order of its values if it is one that OpenCV flips.

    Args:
        values: The array, (height, width) or (height, width, channels).
        direction: 'horizontal', 'vertical' or 'diagonal'.

    Example:
        >>> flip(np.array([[1, 2]], np.uint8), 'horizontal').tolist()
        [[2, 1]]
    """
    if values.dtype != np.uint8 or values.shape[2:] > (MOST_CHANNELS,):
        return mmcv.imflip(values, direction)
    return cv2.flip(values, CODES[direction]).reshape(values.shape)
