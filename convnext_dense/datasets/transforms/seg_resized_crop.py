"""mmcv's random resize with mmseg's random crop behind it, which resizes no more of an image than the crop needs."""

from collections.abc import Iterator
from typing import cast

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS as ALL_TRANSFORMS
from mmseg.datasets.transforms import Resize

from convnext_dense.datasets.transforms.seg_crop import SegRandomCrop
from convnext_dense.registry import TRANSFORMS

# What mmcv resizes besides an image and its label map.
OTHERS = ('gt_bboxes', 'gt_keypoints')
# The sides beyond a crop that interpolation reads.
MARGIN = 2


@TRANSFORMS.register_module()
class SegRandomResizedCrop(BaseTransform):
    """mmcv's RandomResize and mmseg's RandomCrop, with the same samples.

    Args:
        resize: The config of mmcv's RandomResize.
        crop: The arguments of mmseg's RandomCrop.

    Example:
        >>> resize = dict(type='mmcv.RandomResize', scale=(64, 64), ratio_range=(2.0, 2.0), keep_ratio=True)
        >>> transform = SegRandomResizedCrop(resize, crop=dict(crop_size=(32, 48)))
        >>> image, label_map = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
        >>> transform(dict(img=image, gt_seg_map=label_map, seg_fields=['gt_seg_map']))['img'].shape
        (32, 48, 3)
    """

    def __init__(self, resize: dict, crop: dict) -> None:
        self.resize = ALL_TRANSFORMS.build(resize)
        self.crop = SegRandomCrop(**crop)

    def __iter__(self) -> Iterator[BaseTransform]:
        """Yield the two transforms, so that mmcv finds what they draw."""
        return iter((self.resize, self.crop))

    def transform(self, results: dict) -> dict | None:
        """Resize and crop the sample."""
        image, inner = results['img'], self.resize.resize
        if not _can_resize_in_part(inner, results):
            return cast(dict, self.crop(cast(dict, self.resize(results))))
        results['scale'] = inner.scale = self.resize._random_scale()
        height, width = image.shape[:2]
        columns, rows = results['scale']
        if inner.keep_ratio:
            columns, rows = mmcv.rescale_size((width, height), results['scale'])
        results['scale_factor'] = columns / width, rows / height
        results['keep_ratio'] = inner.keep_ratio
        inner._resize_seg(results)
        # The crop's size is all that is asked of the image before it is there.
        results['img'] = np.broadcast_to(image[:1, :1], (rows, columns, image.shape[2]))
        top, bottom, left, right = box = self.crop.crop_bbox(results)
        for key in results.get('seg_fields', []):
            results[key] = self.crop.crop(results[key], box)
        part = resize_corner(image, (rows, columns), (min(bottom, rows), min(right, columns)))
        results['img'] = part[top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        return results


def resize_corner(image: np.ndarray, size: tuple[int, int], corner: tuple[int, int]) -> np.ndarray:
    """Return the upper left part of a resized image.

    OpenCV computes where a pixel comes from by the scale alone, so that it is that of the image resized as a whole.

    Args:
        image: The image, of uint8 with shape (height, width, channels).
        size: Height and width of the whole resized image, in pixels.
        corner: Height and width of the part.

    Example:
        >>> image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        >>> bool((resize_corner(image, (6, 6), (2, 3)) == cv2.resize(image, (6, 6))[:2, :3]).all())
        True
    """
    if corner == size:
        return cv2.resize(image, size[::-1])
    vertical, horizontal = (new / old for new, old in zip(size, image.shape, strict=False))
    rows, columns = (int(end / scale) + MARGIN for end, scale in zip(corner, (vertical, horizontal), strict=True))
    part = image[:rows, :columns]
    resized = cv2.resize(part, None, fx=horizontal, fy=vertical)
    if resized.shape == part.shape:
        # OpenCV copies an image that is to keep its size, whatever the scale.
        resized = cv2.resize(image, size[::-1])
    return resized[: corner[0], : corner[1]]


def _can_resize_in_part(resize: BaseTransform, results: dict) -> bool:
    image = results['img']
    return (
        type(resize) is Resize
        and (resize.backend, resize.interpolation) == ('cv2', 'bilinear')
        and image.dtype == np.uint8
        and image.ndim == 3
        and not any(results.get(key) is not None for key in OTHERS)
    )
