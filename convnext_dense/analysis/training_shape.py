"""The size of the images that a training takes."""

import io
import math
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from convnext_dense.analysis.image_shape import default_shape
from convnext_dense.config.tree import bare_type, leaf_datasets

Shape = tuple[int, int]
# In pixels; what a pyramid of four strides needs.
DIVISOR = 32


def training_shape(cfg: Config) -> Shape:
    """Return the height and width in pixels of the largest images that a recipe's training takes, after its transforms.

    What keeps an image's size has that of the first training image. Without its file it is that of `default_shape`.

    Args:
        cfg: A config with a model.

    Raises:
        UsageError: If the config has none of these sizes.

    Example:
        >>> resize = dict(type='Resize', scale=(1333, 800), keep_ratio=True)
        >>> loader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), resize]))
        >>> training_shape(Config(dict(default_scope='mmdet', model={}, train_dataloader=loader)))
        (800, 1344)
    """
    preprocessor = cfg.model.get('data_preprocessor') or {}
    augments = preprocessor.get('batch_augments') or []
    for part in (preprocessor, *augments):
        if part.get('size'):
            return _pair(part['size'])
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    transforms: list[dict] = []
    while dataset:
        # Those of a wrapper follow.
        transforms = [*(dataset.get('pipeline') or []), *transforms]
        dataset = dataset.get('dataset') or next(iter(dataset.get('datasets') or []), None)
    shape = _after(transforms, None) or _after(transforms, _first_image(cfg)) or default_shape(cfg)
    divisor = preprocessor.get('pad_size_divisor') or DIVISOR
    return math.ceil(shape[0] / divisor) * divisor, math.ceil(shape[1] / divisor) * divisor


def _after(transforms: Iterable[dict], shape: Shape | None) -> Shape | None:
    """Return the shape of an image after its transforms; None if that follows from its own, which is not known."""
    for transform in transforms:
        kind = bare_type(transform.get('type'))
        sizes = _sizes(transform)
        if kind in ('RandomChoice', 'RandomApply'):
            branches = transform.get('transforms') or []
            branches = [branch if isinstance(branch, list | tuple) else [branch] for branch in branches]
            shape = _largest(_after(branch, shape) for branch in branches)
        elif 'Mosaic' in kind:
            height, width = _pair(transform.get('img_scale', (640, 640)))[::-1]
            shape = 2 * height, 2 * width
        elif kind == 'RandomAffine' and shape:
            border = transform.get('border', (0, 0))
            shape = shape[0] + 2 * border[0], shape[1] + 2 * border[1]
        elif 'Resize' in kind and sizes:
            keeps_ratio = transform.get('keep_ratio', kind not in ('Resize', 'RandomResize'))
            shape = _largest(_resized(size, shape, keeps_ratio) for size in sizes)
        elif 'Resize' in kind and shape and (factor := transform.get('scale_factor')):
            width, height = factor if isinstance(factor, tuple | list) else (factor, factor)
            shape = round(shape[0] * height), round(shape[1] * width)
        elif kind == 'SegRandomResizedCrop':
            shape = _after([transform['resize'], dict(type='RandomCrop', **transform['crop'])], shape)
        elif kind.endswith('RandomCrop') and not transform.get('crop_type', 'absolute').startswith('relative'):
            height, width = _pair(transform['crop_size'])
            shape = (min(height, shape[0]), min(width, shape[1])) if shape else (height, width)
        elif kind == 'Pad' and transform.get('size'):
            width, height = _pair(transform['size'])
            shape = (max(height, shape[0]), max(width, shape[1])) if shape else (height, width)
        elif kind == 'Pad' and shape and transform.get('pad_to_square'):
            shape = max(shape), max(shape)
    return shape


def _sizes(transform: dict) -> list[Shape]:
    """Return the widths and heights that a transform resizes to."""
    scale = transform.get('scales') or transform.get('scale')
    if not scale:
        return []
    scales = scale if isinstance(scale, list | tuple) and isinstance(scale[0], list | tuple) else [scale]
    most = max(transform.get('ratio_range') or (1.0,))
    return [(round(width * most), round(height * most)) for width, height in map(_pair, scales)]


def _resized(size: Shape, shape: Shape | None, keeps_ratio: bool) -> Shape:
    """Return the height and width after a resize. Landscape is the form of an image that is not known."""
    if not keeps_ratio:
        return size[1], size[0]
    if shape is None:
        return min(size), max(size)
    factor = min(max(size) / max(shape), min(size) / min(shape))
    return round(shape[0] * factor), round(shape[1] * factor)


def _largest(shapes: Iterable[Shape | None]) -> Shape | None:
    known = list(shapes)
    return None if None in known else max(known, key=lambda shape: shape[0] * shape[1], default=None)


def _first_image(cfg: Config) -> Shape | None:
    dataset = leaf_datasets((cfg.get('train_dataloader') or {}).get('dataset') or {})[0]
    if not dataset.get('type'):
        return None
    try:
        # pycocotools prints.
        with DefaultScope.overwrite_default_scope(cfg.default_scope), redirect_stdout(io.StringIO()):
            info = DATASETS.build(dataset).get_data_info(0)
        with Image.open(Path(info['img_path'])) as image:
            return image.height, image.width
    except Exception:  # noqa: BLE001 - the data need not be here
        return None


def _pair(size: object) -> Shape:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
