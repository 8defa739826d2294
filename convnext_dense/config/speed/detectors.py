"""What switches change in a detector."""

from mmengine.config import Config
from mmengine.registry import MODELS, TASK_UTILS

from convnext_dense.config.speed.fast_transforms import is_exactly, name_ours
from convnext_dense.config.tree import typed_parts


def assign_without_waiting(cfg: Config) -> None:
    """Take this package's MaxIoUAssigner for a detector, whose result is the same.

    Args:
        cfg: The config, which is changed. An assigner that is derived from mmdet's stays as it is.

    Example:
        >>> cfg = Config(dict(model=dict(train_cfg=dict(assigner=dict(type='mmdet.MaxIoUAssigner')))))
        >>> assign_without_waiting(cfg)
        >>> cfg.model.train_cfg.assigner.type
        'convnext_dense.MaxIoUAssigner'
    """
    for part in typed_parts(cfg.get('model')):
        if is_exactly(part, 'mmdet.MaxIoUAssigner', TASK_UTILS, cfg.get('default_scope')):
            name_ours(part)


def batch_in_place(cfg: Config) -> None:
    """Take this package's data preprocessor for a detector, whose batches are the same.

    Args:
        cfg: The config, which is changed. A preprocessor that is derived from mmdet's stays as it is.

    Example:
        >>> cfg = Config(dict(model=dict(data_preprocessor=dict(type='mmdet.DetDataPreprocessor'))))
        >>> batch_in_place(cfg)
        >>> cfg.model.data_preprocessor.type
        'convnext_dense.DetDataPreprocessor'
    """
    for part in typed_parts(cfg.get('model')):
        if is_exactly(part, 'mmdet.DetDataPreprocessor', MODELS, cfg.get('default_scope')):
            name_ours(part)
