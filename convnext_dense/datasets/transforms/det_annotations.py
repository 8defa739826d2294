"""Loads a detector's annotations."""

import numpy as np
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations

from convnext_dense.datasets.transforms.indexed_masks import IndexedMasks
from convnext_dense.datasets.transforms.rasterize import rasterize
from convnext_dense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadAnnotations(MMDetLoadAnnotations):
    """mmdet's LoadAnnotations, whose bitmap masks are `IndexedMasks`: each is drawn once, within its box.

    Its arguments are mmdet's.

    Example:
        >>> load = LoadAnnotations(with_bbox=False, with_label=False, with_mask=True)
        >>> square = dict(mask=[[1, 1, 3, 1, 3, 3, 1, 3]], ignore_flag=0)
        >>> load(dict(ori_shape=(4, 5), instances=[square]))['gt_masks']
        IndexedMasks(num_masks=1, height=4, width=5)
    """

    def _load_masks(self, results: dict) -> None:
        height, width = results['ori_shape']
        crops = rasterize(self._process_masks(results), height, width) if self.poly2mask else None
        if crops is None:
            # Polygons, or masks of which mmdet says what is wrong.
            super()._load_masks(results)
        else:
            results['gt_masks'] = IndexedMasks.from_crops(crops, np.arange(height), np.arange(width))
