"""mmseg's packing of a sample, with label maps of one byte a pixel."""

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs as MMSegPackSegInputs

from convnext_dense.datasets.transforms.arrays import MOST_CHANNELS, channels_first
from convnext_dense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackSegInputs(MMSegPackSegInputs):
    """mmseg's PackSegInputs, whose label maps stay uint8: an eighth of the bytes that a worker sends.

    `SegDataPreProcessor` makes them int64 on the model's device.

    Its arguments are mmseg's.

    Example:
        >>> packed = PackSegInputs()(dict(gt_seg_map=np.zeros((2, 2), np.uint8)))
        >>> packed['data_samples'].gt_sem_seg.data.dtype
        torch.uint8
    """

    def transform(self, results: dict) -> dict:
        """Pack the sample."""
        rest, packed = dict(results), {}
        image, label_map = results.get('img'), results.get('gt_seg_map')
        if is_of_bytes(image, 3) and image.shape[2] <= MOST_CHANNELS:
            packed['inputs'] = torch.from_numpy(channels_first(rest.pop('img')).transpose(2, 0, 1))
        if is_of_bytes(label_map, 2):
            rest.pop('gt_seg_map')
        packed |= super().transform(rest)
        if is_of_bytes(label_map, 2):
            data = torch.from_numpy(np.ascontiguousarray(label_map[None]))
            packed['data_samples'].gt_sem_seg = PixelData(data=data)
        return packed


def is_of_bytes(values: object, dimensions: int) -> bool:
    """Return whether a value is an array of uint8.

    Args:
        values: Any value.
        dimensions: How many the array must have.

    Example:
        >>> is_of_bytes(np.zeros((2, 2), np.uint8), 2)
        True
    """
    return isinstance(values, np.ndarray) and values.dtype == np.uint8 and values.ndim == dimensions
