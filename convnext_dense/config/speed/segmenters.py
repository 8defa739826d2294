"""Changes what a segmenter's pipelines and its data preprocessor do together, where the batches stay the same."""

from collections.abc import Iterator

from mmengine.config import Config, ConfigDict
from mmengine.registry import METRICS, MODELS, TRANSFORMS

from convnext_dense.config.speed.fast_transforms import PLACES, find_class, is_exactly, name_ours
from convnext_dense.config.tree import bare_type, typed_parts
from convnext_dense.datasets.checked_loading import is_a
from convnext_dense.registry import SCOPE

COLORS = 3


def use_byte_label_maps(cfg: Config) -> None:
    """Keep label maps uint8 until they are on the model's device, if its preprocessor is one that widens them.

    Args:
        cfg: The config, which is changed. Preprocessors that are derived from mmseg's or of other than three channels,
            in which ours would exchange other ones, stay as they are, and the label maps int64.

    Example:
        >>> use_byte_label_maps(Config(dict(model=dict(type='Mine'))))
    """
    scope = cfg.get('default_scope')
    preprocessors = [part for part in typed_parts(cfg.get('model')) if bare_type(part['type']) == 'SegDataPreProcessor']
    for part in preprocessors:
        is_mmsegs = is_exactly(part, 'mmseg.SegDataPreProcessor', MODELS, scope)
        if is_mmsegs and len(part.get('mean') or ()) == COLORS:
            name_ours(part)
        elif not is_a(find_class(part, MODELS, scope), f'{SCOPE}.SegDataPreProcessor'):
            return
    for part in typed_parts([cfg.get(place) for place in PLACES]) if preprocessors else ():
        if is_exactly(part, 'mmseg.PackSegInputs', TRANSFORMS, scope):
            name_ours(part)


def resize_in_part(cfg: Config) -> None:
    """Make one transform of mmcv's RandomResize and a `SegRandomCrop` behind it.

    Args:
        cfg: The config, which is changed.

    Example:
        >>> pipeline = [dict(type='mmcv.RandomResize', scale=(64, 64)), dict(type='convnext_dense.SegRandomCrop')]
        >>> cfg = Config(dict(train_dataloader=dict(dataset=dict(pipeline=pipeline))))
        >>> resize_in_part(cfg)
        >>> [transform.type for transform in cfg.train_dataloader.dataset.pipeline]
        ['convnext_dense.SegRandomResizedCrop']
    """
    for place in PLACES:
        for pipeline in _lists(cfg.get(place)):
            for i in range(len(pipeline) - 1, 0, -1):
                resize, crop = pipeline[i - 1 : i + 1]
                if _is_random_resize(resize, cfg.get('default_scope')) and _is_seg_crop(crop):
                    arguments = {key: value for key, value in crop.items() if key != 'type'}
                    fused = ConfigDict(type=f'{SCOPE}.SegRandomResizedCrop', resize=resize, crop=arguments)
                    pipeline[i - 1 : i + 1] = [fused]


def count_classes(cfg: Config) -> None:
    """Count a segmenter's classes by this package's metric.

    Args:
        cfg: The config, which is changed. Metrics that are derived from mmseg's stay as they are.

    Example:
        >>> cfg = Config(dict(val_evaluator=dict(type='mmseg.IoUMetric')))
        >>> count_classes(cfg)
        >>> cfg.val_evaluator.type
        'convnext_dense.IoUMetric'
    """
    for part in typed_parts([cfg.get(f'{split}_evaluator') for split in ('val', 'test')]):
        if is_exactly(part, 'mmseg.IoUMetric', METRICS, cfg.get('default_scope')):
            name_ours(part)


def _lists(node: object) -> Iterator[list]:
    """Yield the lists in a part of a config."""
    if isinstance(node, list):
        yield node
    for value in list(node.values()) if isinstance(node, dict) else list(node) if isinstance(node, list) else ():
        yield from _lists(value)


def _is_random_resize(transform: object, scope: str | None) -> bool:
    return isinstance(transform, dict) and is_exactly(transform, 'mmcv.RandomResize', TRANSFORMS, scope)


def _is_seg_crop(transform: object) -> bool:
    return isinstance(transform, dict) and transform.get('type') == f'{SCOPE}.SegRandomCrop'
