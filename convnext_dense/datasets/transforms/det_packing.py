"""Packs what a detector is fed."""

import cv2
import numpy as np
from mmdet.datasets.transforms import PackDetInputs as MMDetPackDetInputs

from convnext_dense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackDetInputs(MMDetPackDetInputs):
    """mmdet's PackDetInputs, which takes an image's channels apart by OpenCV.

    Its arguments are mmdet's.

    Example:
        >>> PackDetInputs()(dict(img=np.zeros((4, 5, 3), np.uint8)))['inputs'].shape
        torch.Size([3, 4, 5])
    """

    def transform(self, results: dict) -> dict:
        """Pack the image as a tensor (channels, height, width), and the annotations."""
        if 'img' in results:
            results['img'] = channels_first(results['img'])
        return super().transform(results)


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
    if image.ndim != 3 or image.dtype not in (np.uint8, np.float32):
        return image
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))
    return planes.transpose(1, 2, 0)
