"""Keeps the checkpoint with the best score, and stops when the score no longer improves."""

from mmengine.config import Config, ConfigDict

from convnext_dense.config.custom_imports import import_package
from convnext_dense.config.training_options.metrics import better, find_metric, least_rise
from convnext_dense.config.tree import bare_type, value_at
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE


def set_save_best(cfg: Config, metric: str = 'auto', scored: Config | None = None) -> None:
    """Keep the checkpoint of the validation with the best score, besides those that the config saves.

    Args:
        cfg: The config, which is changed.
        metric: The metric, with or without its prefix; 'auto' for PQ of a panoptic model, AP of masks, AP of boxes, or
            mIoU.
        scored: The config whose evaluators count, if that is another, such as one with options.

    Raises:
        UsageError: If the config has no validation, or its evaluators report no such metric.

    Example:
        >>> cfg = Config(dict(val_dataloader=dict(batch_size=1), val_evaluator=dict(type='IoUMetric')))
        >>> set_save_best(cfg)
        >>> cfg.default_hooks.checkpoint
        {'type': 'CheckpointHook', 'save_best': 'mIoU', 'rule': 'greater'}
    """
    name = find_metric(scored or cfg, metric, 'save_best')
    hooks = cfg.get('default_hooks') or ConfigDict()
    hooks.checkpoint = ConfigDict(hooks.get('checkpoint') or dict(type='CheckpointHook'))
    hooks.checkpoint.update(save_best=name, rule=better(name))
    cfg.default_hooks = hooks


def set_patience(cfg: Config, patience: int, scored: Config | None = None) -> None:
    """End a training after so many validations in a row without a better score.

    The score is that by which the best checkpoint is kept. If the config keeps none, it does so from now on: such a run
    is for the weights of the best validation.

    Args:
        cfg: The config, which is changed.
        patience: How many validations.
        scored: As in `set_save_best`.

    Raises:
        UsageError: If it is not positive, or the config has no validation.

    Example:
        >>> cfg = Config(dict(val_dataloader=dict(batch_size=1), val_evaluator=dict(type='CocoMetric')))
        >>> set_patience(cfg, 5)
        >>> cfg.custom_hooks[0].monitor, cfg.custom_hooks[0].min_delta
        ('coco/bbox_mAP', 0.001)
    """
    if not isinstance(patience, int) or patience < 1:
        raise UsageError(f'patience: it must be a whole number of at least 1; got {patience!r}.')
    scored = scored or cfg
    watched = value_at(scored, 'default_hooks.checkpoint.save_best')
    watched = watched[0] if isinstance(watched, list) and watched else watched
    name = find_metric(scored, watched if isinstance(watched, str) else 'auto', 'patience')
    if not watched or watched == 'auto':
        set_save_best(cfg, name, scored)
    hook = ConfigDict(
        type=f'{SCOPE}.EarlyStoppingHook',
        monitor=name,
        rule=better(name),
        min_delta=least_rise(name),
        patience=patience,
    )
    others = [hook for hook in cfg.get('custom_hooks') or [] if bare_type(hook.get('type')) != 'EarlyStoppingHook']
    cfg.custom_hooks = [*others, hook]
    import_package(cfg)
