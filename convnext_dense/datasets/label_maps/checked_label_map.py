"""Loads a label map as mmseg does, and says which file is wrong if it is not a label map of its image and classes."""

from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from mmengine.fileio import get
from mmseg.datasets.transforms import LoadAnnotations

from convnext_dense.datasets.images.file_faults import is_here, unreadable
from convnext_dense.datasets.images.orientation import SIDEWAYS, orientation, turn
from convnext_dense.datasets.label_maps.decoding import decode_label_map
from convnext_dense.datasets.label_maps.label_faults import as_bytes, layout_fault, map_size_fault, value_fault
from convnext_dense.datasets.label_maps.label_rules import LARGEST, LabelRules
from convnext_dense.errors import SampleError, UsageError
from convnext_dense.regular_files import refuse_special


class CheckedLabelMap(LoadAnnotations):
    """mmseg's LoadAnnotations, which raises if a map cannot be right. The maps that it returns are mmseg's.

    If an image is turned by its EXIF tag, and its map has the size of the pixels as stored, the map is turned too.

    Args:
        num_classes: How many classes the model has; None if it is not known.
        ignore_index: The class that the model ignores.
        arguments: mmseg's.

    Raises:
        SampleError: If the file cannot be read, is no map of one channel, has values that are no classes, or another
            size than its image.
        UsageError: If the dataset and its pipeline disagree on `reduce_zero_label`.
    """

    def __init__(self, num_classes: int | None = None, ignore_index: int = LARGEST, **arguments: object) -> None:
        super().__init__(**cast(dict, arguments))
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def _load_seg_map(self, results: dict) -> None:
        file = results['seg_map_path']
        try:
            if is_here(file):
                refuse_special(file)
            data = get(file, backend_args=self.backend_args)
            decoded = decode_label_map(data, self.imdecode_backend)
            # OpenCV returns None where Pillow raises.
            assert decoded is not None
        except Exception as error:
            raise unreadable(file, error) from error
        fault = layout_fault(decoded)
        if fault:
            raise SampleError(f'{file}: {fault}.')
        label_map = as_bytes(decoded)
        reduce_zero_label = results['reduce_zero_label']
        if self.reduce_zero_label not in (None, reduce_zero_label):
            raise UsageError(
                f'reduce_zero_label: it is {reduce_zero_label} in the dataset and {self.reduce_zero_label} in its '
                "pipeline's LoadAnnotations; they must agree."
            )
        rules = _rules(
            self.num_classes,
            self.ignore_index,
            bool(reduce_zero_label),
            tuple((results.get('label_map') or {}).items()),
        )
        classes = cv2.LUT(label_map, rules.table)
        # Faster than a table.
        if any(cv2.countNonZero(cv2.inRange(classes, *ends)) for ends in rules.ranges_beyond):
            values = np.unique(label_map).tolist()
            raise SampleError(f'{file}: {value_fault(values, rules)}.')
        results['gt_seg_map'] = _fit(classes, results)
        results['seg_fields'].append('gt_seg_map')


def _fit(label_map: np.ndarray, results: dict) -> np.ndarray:
    """Return the map, turned as its image if that was turned. Raises SampleError if it has another size."""
    # The size that was loaded: test pipelines resize the image first.
    size = results.get('ori_shape')
    if size is None or label_map.shape == tuple(size[:2]):
        return label_map
    if label_map.shape[::-1] == tuple(size[:2]) and is_here(results['img_path']):
        tag = orientation(results['img_path'])
        if tag in SIDEWAYS:
            return turn(label_map, tag)
    raise SampleError(map_size_fault(results['seg_map_path'], label_map.shape, size))


@lru_cache(maxsize=16)
def _rules(num_classes: int | None, ignore_index: int, reduce_zero_label: bool, label_map: tuple) -> LabelRules:
    return LabelRules(num_classes, ignore_index, reduce_zero_label, dict(label_map) or None)
