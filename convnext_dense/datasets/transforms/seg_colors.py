"""mmseg's distortion of colors by tables of 256 values, which are made by mmseg's own arithmetic."""

from typing import Any

import cv2
import numpy as np
from mmseg.datasets.transforms import PhotoMetricDistortion

from convnext_dense.registry import TRANSFORMS

VALUES = np.arange(256, dtype=np.uint8)
# OpenCV's hue of a uint8 image, in units of two degrees.
HUES = 180
HUE, SATURATION = 0, 1
MIDDLE = 128


@TRANSFORMS.register_module()
class SegPhotoMetricDistortion(PhotoMetricDistortion):
    """mmseg's PhotoMetricDistortion, with the same images.

    Its arguments are mmseg's.

    Example:
        >>> distort = SegPhotoMetricDistortion(brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1))
        >>> distort(dict(img=np.zeros((1, 1, 3), np.uint8)))['img'].tolist()
        [[[0, 0, 0]]]
    """

    def transform(self, results: dict) -> dict:
        """Distort the image; another one than of three channels of uint8 as mmseg does."""
        image = results['img']
        if image.dtype != np.uint8 or image.shape[2:] != (3,):
            return super().transform(results)
        # All is drawn first, in mmseg's order.
        before, after = self.brightness(VALUES), VALUES
        contrast_first = np.random.randint(2) == 1
        if contrast_first:
            before = self.contrast(before)
        saturation, hue = self._saturations(), self._hues()
        if not contrast_first:
            after = self.contrast(VALUES)
        if saturation is None and hue is None:
            before, after = after[before], VALUES
        image = _look_up(image, before)
        # Two conversions, as mmseg makes: one would change values by up to three.
        image = _change_in_hsv(image, SATURATION, saturation)
        image = _change_in_hsv(image, HUE, hue)
        results['img'] = _look_up(image, after)
        return results

    def _saturations(self) -> np.ndarray | None:
        """Draw what each saturation becomes; None if they stay."""
        if not np.random.randint(2):
            return None
        factor: Any = np.random.uniform(self.saturation_lower, self.saturation_upper)
        return self.convert(VALUES, alpha=factor)

    def _hues(self) -> np.ndarray | None:
        """Draw what each hue becomes; None if they stay."""
        if not np.random.randint(2):
            return None
        return ((VALUES.astype(int) + np.random.randint(-self.hue_delta, self.hue_delta)) % HUES).astype(np.uint8)


def _look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    if table is VALUES:
        return image
    # Brightness alone, of which the fraction is cut off: OpenCV adds faster than it looks up.
    added = int(table[MIDDLE]) - MIDDLE
    if np.array_equal(table, np.clip(VALUES.astype(int) + added, 0, 255)):
        return cv2.add(image, np.array([added] * 3, float)) if added else image
    return cv2.LUT(image, table)


def _change_in_hsv(image: np.ndarray, channel: int, table: np.ndarray | None) -> np.ndarray:
    """Return a BGR image of which a channel in HSV is looked up in a table."""
    if table is None:
        return image
    converted = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    # A table of three columns would take three times as long.
    cv2.insertChannel(cv2.LUT(cv2.extractChannel(converted, channel), table), converted, channel)
    return cv2.cvtColor(converted, cv2.COLOR_HSV2BGR)
