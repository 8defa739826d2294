"""Flips images at random."""

import cv2
from mmdet.datasets.transforms import RandomFlip as MMDetRandomFlip

from convnext_dense.registry import TRANSFORMS

CODES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}


@TRANSFORMS.register_module()
class RandomFlip(MMDetRandomFlip):
    """mmdet's RandomFlip, which flips the image by OpenCV. mmdet's is a view that each later transform copies slowly.

    Its arguments are mmdet's.

    Example:
        >>> import numpy as np
        >>> RandomFlip(prob=1.0)(dict(img=np.arange(3, dtype=np.uint8).reshape(1, 3, 1)))['img'].ravel().tolist()
        [2, 1, 0]
    """

    def _flip(self, results: dict) -> None:
        image = results['img']
        super()._flip(results)
        results['img'] = cv2.flip(image, CODES[results['flip_direction']]).reshape(image.shape)
