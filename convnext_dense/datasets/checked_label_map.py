"""Loads a label map as mmseg does, and says which file is wrong if it is not a label map of its image and classes."""

from functools import lru_cache

import cv2
import mmcv
import numpy as np
from mmengine.fileio import get
from mmseg.datasets.transforms import LoadAnnotations

from convnext_dense.datasets.file_faults import is_here, unreadable
from convnext_dense.datasets.label_rules import LARGEST, LabelRules, shown
from convnext_dense.datasets.orientation import SIDEWAYS, orientation, turn
from convnext_dense.errors import UsageError


class CheckedLabelMap(LoadAnnotations):
    """mmseg's LoadAnnotations, which raises if a map cannot be right. The maps that it returns are mmseg's.

    If an image is turned by its EXIF tag, and its map has the size of the pixels as stored, the map is turned too.

    Args:
        num_classes: How many classes the model has; None if it is not known.
        ignore_index: The class that the model ignores.
        arguments: mmseg's.

    Raises:
        UsageError: If the file cannot be read, is no map of one channel, has values that are no classes, or another
            size than its image.
    """

    def __init__(self, num_classes: int | None = None, ignore_index: int = LARGEST, **arguments: object) -> None:
        super().__init__(**arguments)
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def _load_seg_map(self, results: dict) -> None:
        file = results['seg_map_path']
        try:
            data = get(file, backend_args=self.backend_args)
            decoded = mmcv.imfrombytes(data, flag='unchanged', backend=self.imdecode_backend)
            # OpenCV returns None where Pillow raises.
            assert decoded is not None
        except Exception as error:
            raise unreadable(file, error) from error
        fault = layout_fault(decoded)
        if fault:
            raise UsageError(f'{file}: {fault}.')
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
        if cv2.LUT(label_map, rules.is_beyond.view(np.uint8)).any():
            values = np.unique(label_map).tolist()
            raise UsageError(f'{file}: {value_fault(values, rules)}.')
        results['gt_seg_map'] = _fit(cv2.LUT(label_map, rules.table), results)
        results['seg_fields'].append('gt_seg_map')


def layout_fault(decoded: np.ndarray) -> str | None:
    """Return what is wrong with a decoded file that should be a label map; None if nothing is.

    Args:
        decoded: What the decoder returns.

    Example:
        >>> layout_fault(np.zeros((8, 8, 3), np.uint8))
        "it has 3 channels; a label map has one, with the number of a pixel's class"
        >>> layout_fault(np.full((8, 8), 300, np.uint16))
        'it has 16 bits and the value 300; a label map has 8 bits, and the loader would make 44 of it'
    """
    channels = decoded.shape[2] if decoded.ndim > 2 else 1
    if channels > 1:
        return f"it has {channels} channels; a label map has one, with the number of a pixel's class"
    if decoded.dtype in (np.uint8, np.bool_):
        return None
    values = np.unique(decoded)
    cut = values[(values < 0) | (values > LARGEST) | (values != np.floor(values))]
    if not len(cut):
        return None
    bits = 16 if values.max() < 2**16 else 8 * decoded.dtype.itemsize
    value = f'the value{"s" if len(cut) > 1 else ""} {shown(cut.tolist())}'
    made = shown(cut[:1].astype(np.int64).astype(np.uint8).tolist())
    return f'it has {bits} bits and {value}; a label map has 8 bits, and the loader would make {made} of {_which(cut)}'


def _which(cut: np.ndarray) -> str:
    return 'it' if len(cut) == 1 else f'{cut[0]:g}'


def as_bytes(decoded: np.ndarray) -> np.ndarray:
    """Return a decoded map as 8 bits with shape (height, width)."""
    label_map = decoded[..., 0] if decoded.ndim > 2 else decoded
    return np.ascontiguousarray(label_map, dtype=np.uint8)


def value_fault(values: list[int], rules: LabelRules) -> str:
    """Return the part of a sentence that names the values that are no classes.

    Args:
        values: All values of a map.
        rules: What they mean.

    Example:
        >>> value_fault([0, 1, 7], LabelRules(num_classes=3))
        'it has the value 7; with 3 classes and reduce_zero_label=False, 0 to 2 are classes, and 255 is ignored'
    """
    beyond = rules.beyond(values)
    return f'it has the value{"s" if len(beyond) > 1 else ""} {shown(beyond)}; {rules.meaning}'


def map_size_fault(file: str, found: tuple[int, int], image: tuple[int, int]) -> str:
    """Return the sentence on a map of another size than its image.

    Args:
        file: The map.
        found: Its height and width.
        image: The image's height and width.

    Example:
        >>> map_size_fault('1.png', (64, 96), (72, 96))
        '1.png: the label map is 96x64 px (width x height) and its image 96x72 px; they must have the same size.'
    """
    return (
        f'{file}: the label map is {found[1]}x{found[0]} px (width x height) and its image {image[1]}x{image[0]} px; '
        'they must have the same size.'
    )


def _fit(label_map: np.ndarray, results: dict) -> np.ndarray:
    """Return the map, turned as its image if that was turned. Raises UsageError if it has another size."""
    # The size that was loaded: test pipelines resize the image first.
    size = results.get('ori_shape')
    if size is None or label_map.shape == tuple(size[:2]):
        return label_map
    if label_map.shape[::-1] == tuple(size[:2]) and is_here(results['img_path']):
        tag = orientation(results['img_path'])
        if tag in SIDEWAYS:
            return turn(label_map, tag)
    raise UsageError(map_size_fault(results['seg_map_path'], label_map.shape, size))


@lru_cache(maxsize=16)
def _rules(num_classes: int | None, ignore_index: int, reduce_zero_label: bool, label_map: tuple) -> LabelRules:
    return LabelRules(num_classes, ignore_index, reduce_zero_label, dict(label_map) or None)
