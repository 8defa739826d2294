"""Flips images and label maps at random."""

from typing import cast

import numpy as np
from mmseg.datasets.transforms import RandomFlip

from convnext_dense.datasets.transforms.arrays import flip
from convnext_dense.registry import TRANSFORMS


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
