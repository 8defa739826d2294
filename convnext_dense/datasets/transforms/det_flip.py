"""Flips images at random."""

from mmdet.datasets.transforms import RandomFlip as MMDetRandomFlip

from convnext_dense.datasets.transforms.arrays import flip
from convnext_dense.registry import TRANSFORMS


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
        results['img'] = flip(image, results['flip_direction'])
