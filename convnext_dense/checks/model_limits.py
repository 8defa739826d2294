"""What a config's model and pipeline lose of objects: those that are tiny, those that a crop cuts, small images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope

from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.datasets.checker.objects.object_check import CheckedObjects

# Keys below which, and below heads, a list named `strides` is that of the maps.
GENERATORS = ('anchor_generator', 'prior_generator', 'point_generator', 'bbox_coder')
# A backbone's first map has this stride, and each other twice the one before.
FIRST_STRIDE = 4
# Transforms by which objects' sizes change in other ways.
OTHER_SCALES = ('Mosaic', 'CachedMosaic', 'RandomAffine', 'RandomCenterCropPad', 'RandomChoice', 'Expand', 'CopyPaste')


@dataclass(frozen=True)
class ModelLimits:
    """What of an object a model sees.

    Args:
        stride: The smallest stride of the maps that objects are found in, in pixels; None if it is not known.
        scales: The widths and heights that images are resized to fit in; none if they are not resized.
        keeps_ratio: Whether images keep their ratio when they are resized.
        crop: Height and width of what is cut out of the resized image; None if it is not cropped.
        min_size: Training leaves out images that are lower or narrower.
    """

    stride: float | None = None
    scales: tuple[tuple[float, float], ...] = ()
    keeps_ratio: bool = True
    crop: tuple[int, int] | None = None
    min_size: int = 0

    def find(self, checked: CheckedObjects) -> Iterator[Fault]:
        """Find objects and images of which the model sees nothing, or never all.

        Args:
            checked: An annotation file.
        """
        objects, file = checked.objects, checked.file
        if objects is None or not len(file.images):
            return
        rows = np.flatnonzero(objects.is_left)
        width, height = objects.boxes[rows, 2:].T
        factors = self._factors(file.sizes[file.rows[rows]])
        if self.stride:
            largest = np.maximum(width * factors[..., 0], height * factors[..., 1]).max(axis=0)
            yield Fault('object-tiny', '', rows[largest < self.stride].tolist(), what=self._size(largest, self.stride))
        if self.crop and checked.split.is_training:
            rows_high, columns_wide = self.crop
            whole = (width * factors[..., 0] <= columns_wide) & (height * factors[..., 1] <= rows_high)
            what = f'the crop is {columns_wide}x{rows_high} px'
            yield Fault('object-cut', '', rows[~whole.any(axis=0)].tolist(), what=what)
        if self.min_size and checked.split.is_training:
            small = np.flatnonzero(file.sizes.min(axis=1) < self.min_size).tolist()
            yield Fault('image-filtered', '', small, 'image', what=f'min_size is {self.min_size}')

    def _size(self, largest: np.ndarray, stride: float) -> str:
        return f'the smallest stride is {stride:g} px' + (' after the resize' if self.scales else '')

    def _factors(self, sizes: np.ndarray) -> np.ndarray:
        """Return by how much width and height of images change at each scale, of shape (scales, images, 2)."""
        if not self.scales:
            return np.ones((1, *sizes.shape))
        factors = np.array(self.scales)[:, None] / sizes
        if not self.keeps_ratio:
            return factors
        scales = np.sort(np.array(self.scales), axis=1)[:, None]
        # The longer side fits in the longer of the scale, and the shorter in the shorter.
        return (scales / np.sort(sizes, axis=1)).min(axis=2, keepdims=True).repeat(2, axis=2)


def model_limits(cfg: Config) -> ModelLimits:
    """Return what of an object a config's model sees.

    Args:
        cfg: The config of a detector.

    Example:
        >>> from convnext_dense.config import load_config
        >>> limits = model_limits(load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco'))
        >>> limits.stride, limits.scales, limits.min_size
        (4, ((1333, 800),), 32)
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if not isinstance(dataset, dict):
        return ModelLimits(_stride(cfg.model))
    leaf = leaf_datasets(dataset)[0]
    # Of a wrapper such as MultiImageMixDataset, the pipeline is the wrapper's.
    pipeline = [*(leaf.get('pipeline') or []), *(dataset.get('pipeline') or [] if leaf is not dataset else [])]
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        scales, keeps_ratio = _scales(pipeline)
    kinds = [bare_type(transform.get('type')) for transform in pipeline if isinstance(transform, dict)]
    is_known = not set(kinds) & set(OTHER_SCALES)
    min_size = (leaf.get('filter_cfg') or {}).get('min_size', 0)
    if not is_known:
        return ModelLimits(min_size=min_size)
    return ModelLimits(_stride(cfg.model), scales, keeps_ratio, _crop(pipeline), min_size)


def _stride(model: Mapping) -> float | None:
    found = [_smallest(strides) for strides in _strides(model, '')]
    if found:
        return min(found)
    indices = (model.get('backbone') or {}).get('out_indices')
    return FIRST_STRIDE * 2 ** min(indices) if indices else None


def _strides(node: object, place: str) -> Iterator[list]:
    """Yield the strides of the maps in a model's config."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            is_of_maps = place in GENERATORS or place.endswith('_head')
            is_strides = key == 'featmap_strides' or (key == 'strides' and is_of_maps)
            if is_strides and isinstance(value, list | tuple) and value:
                yield list(value)
            else:
                yield from _strides(value, key)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _strides(value, place)


def _smallest(strides: list) -> float:
    return min(min(stride) if isinstance(stride, list | tuple) else stride for stride in strides)


def _scales(pipeline: list) -> tuple[tuple[tuple[float, float], ...], bool]:
    """Return the smallest and the largest scales of a pipeline's resize, and whether it keeps the ratio."""
    scales: list[tuple[float, float]] = []
    keeps_ratio = True
    for transform in pipeline:
        kind = bare_type(transform.get('type'))
        if kind not in ('Resize', 'RandomResize', 'RandomChoiceResize', 'FixScaleResize', 'ResizeShortestEdge'):
            continue
        given = transform.get('scale') or transform.get('scales')
        if given is None:
            continue
        pairs = given if isinstance(given[0], list | tuple) else [given]
        ratios = transform.get('ratio_range') or (1, 1)
        scales = [(pair[0] * ratio, pair[1] * ratio) for pair in pairs for ratio in dict.fromkeys(ratios)]
        keeps_ratio = transform.get('keep_ratio', kind != 'Resize')
    return tuple(scales), bool(keeps_ratio)


def _crop(pipeline: list) -> tuple[int, int] | None:
    for transform in pipeline:
        if bare_type(transform.get('type')) == 'RandomCrop' and transform.get('crop_type', 'absolute') == 'absolute':
            height, width = transform['crop_size']
            return height, width
    return None
