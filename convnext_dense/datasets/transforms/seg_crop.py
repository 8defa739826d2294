"""mmseg's random crop, which counts a crop's classes instead of sorting its pixels."""

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import RandomCrop

from convnext_dense.registry import TRANSFORMS

ATTEMPTS = 10
VALUES = 256
# Of the pixels by which the frequent classes are guessed.
GRID = 16


@TRANSFORMS.register_module()
class SegRandomCrop(RandomCrop):
    """mmseg's RandomCrop, with the same crops.

    Its arguments are mmseg's.

    Example:
        >>> crop = SegRandomCrop((2, 2), cat_max_ratio=0.75)
        >>> label_map = np.array([[0, 1], [0, 1]], np.uint8)
        >>> crop(dict(img=np.zeros((2, 2, 3), np.uint8), gt_seg_map=label_map, seg_fields=['gt_seg_map']))['img_shape']
        (2, 2)
    """

    @cache_randomness
    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Draw a crop.

        Args:
            results: A sample with an ``img`` and its ``gt_seg_map``.

        Returns:
            Top, bottom, left and right in pixels.
        """
        size = results['img'].shape[:2]
        box = self._draw(size)
        if self.cat_max_ratio < 1.0:
            for _ in range(ATTEMPTS):
                if self._is_mixed(self.crop(results['gt_seg_map'], box)):
                    break
                box = self._draw(size)
        return box

    def _draw(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        height, width = self.crop_size
        top = np.random.randint(0, max(size[0] - height, 0) + 1)
        left = np.random.randint(0, max(size[1] - width, 0) + 1)
        return top, top + height, left, left + width

    def _is_mixed(self, label_map: np.ndarray) -> bool:
        """Return whether a crop has at least two classes, and none that fills too much of it."""
        if label_map.dtype == np.uint8 and label_map.ndim == 2:
            return is_mixed(label_map, self.cat_max_ratio, self.ignore_index)
        classes, counts = np.unique(label_map, return_counts=True)
        counts = counts[classes != self.ignore_index]
        return len(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio


def is_mixed(label_map: np.ndarray, max_ratio: float, ignore_index: int) -> bool:
    """Return whether a map has at least two classes, each of which fills less than a part of it.

    The classes that are frequent on a grid are counted first, until those that are left are too few to fill that part.

    Args:
        label_map: The map, of uint8 with shape (height, width).
        max_ratio: The part that no class may fill.
        ignore_index: The class that does not count.

    Example:
        >>> is_mixed(np.array([[0, 0, 0, 1]], np.uint8), 0.75, 255), is_mixed(np.array([[0, 1]], np.uint8), 0.75, 255)
        (False, True)
    """
    on_grid = np.bincount(label_map[::GRID, ::GRID].ravel(), minlength=VALUES)
    total = label_map.size - _count(label_map, ignore_index)
    left = total
    for value in np.argsort(-on_grid, kind='stable'):
        if value == ignore_index:
            continue
        count = _count(label_map, value)
        if count == total or count / total >= max_ratio:
            return False
        left -= count
        if left / total < max_ratio and left < total:
            return True
    return False


def _count(label_map: np.ndarray, value: int) -> int:
    return int(np.count_nonzero(label_map == value))
