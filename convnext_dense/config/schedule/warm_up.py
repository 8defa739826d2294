"""Which of a config's schedulers raise the learning rate at the start of a run."""

from collections.abc import Iterator

from mmengine.config import Config

from convnext_dense.config.schedule.run_length import RunLength
from convnext_dense.config.tree import bare_type

# Of a run. Longer ones are cut by `set_length`, and warned of: published recipes have less than 2 %.
MAX_WARM_UP_SHARE = 0.2


def schedulers_of(cfg: Config) -> list[dict]:
    """Return a config's schedulers, of which it may have one, a list, or for several optimizers a dict of lists.

    Args:
        cfg: The config. The results are parts of it, not copies.

    Example:
        >>> schedulers_of(Config(dict(param_scheduler=dict(type='LinearLR', end=500))))
        [{'type': 'LinearLR', 'end': 500}]
    """
    return list(_flat(cfg.get('param_scheduler') or []))


def _flat(part: object) -> Iterator[dict]:
    if isinstance(part, dict) and 'type' in part:
        yield part
    elif isinstance(part, dict | list | tuple):
        for item in part.values() if isinstance(part, dict) else part:
            yield from _flat(item)


def is_warm_up(scheduler: dict) -> bool:
    """Return whether a scheduler raises the learning rate from the start of the run on.

    Args:
        scheduler: Its config.

    Example:
        >>> is_warm_up(dict(type='LinearLR', start_factor=0.001, end=500)), is_warm_up(dict(type='PolyLR'))
        (True, False)
    """
    kind = bare_type(scheduler['type'])
    if scheduler.get('begin', 0) or 'Momentum' in kind or scheduler.get('param_name', 'lr') != 'lr':
        return False
    # mmengine's defaults.
    rises = {
        'Linear': scheduler.get('start_factor', 1 / 3) < scheduler.get('end_factor', 1.0),
        'Constant': scheduler.get('factor', 1 / 3) < 1.0,
        'QuadraticWarmup': True,
    }
    return rises.get(kind.removesuffix('LR').removesuffix('ParamScheduler'), False)


def is_by_epoch(scheduler: dict) -> bool:
    """Return whether a scheduler's lengths are in epochs.

    Args:
        scheduler: Its config.

    Example:
        >>> is_by_epoch(dict(type='LinearLR', end=5))
        True
    """
    return scheduler.get('by_epoch', True)


def warm_up_share(cfg: Config, length: RunLength) -> float:
    """Return which share of a run its warm-up takes; 0 without one, above 1 if it is longer than the run.

    Args:
        cfg: The config.
        length: The run's length.

    Example:
        >>> cfg = Config(dict(param_scheduler=[dict(type='LinearLR', by_epoch=False, end=500)]))
        >>> warm_up_share(cfg, RunLength(12, True, lambda: 50))
        0.8333333333333334
    """
    warm_ups = [scheduler for scheduler in schedulers_of(cfg) if is_warm_up(scheduler)]
    shares = [
        # Without an end it takes the whole run.
        float(length.share_of(end, is_by_epoch(scheduler)))
        if isinstance(end := scheduler.get('end'), int | float)
        else 1.0
        for scheduler in warm_ups
        if is_by_epoch(scheduler) <= length.by_epoch or scheduler.get('convert_to_iter_based')
    ]
    return max(shares, default=0.0)
