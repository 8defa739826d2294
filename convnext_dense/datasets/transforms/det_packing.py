"""Packs what a detector is fed."""

from mmdet.datasets.transforms import PackDetInputs as MMDetPackDetInputs

from convnext_dense.datasets.transforms.arrays import channels_first
from convnext_dense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackDetInputs(MMDetPackDetInputs):
    """mmdet's PackDetInputs, which takes an image's channels apart by OpenCV.

    Its arguments are mmdet's.

    Example:
        >>> import numpy as np
        >>> PackDetInputs()(dict(img=np.zeros((4, 5, 3), np.uint8)))['inputs'].shape
        torch.Size([3, 4, 5])
    """

    def transform(self, results: dict) -> dict:
        """Pack the image as a tensor (channels, height, width), and the annotations."""
        if 'img' in results:
            results['img'] = channels_first(results['img'])
        return super().transform(results)
