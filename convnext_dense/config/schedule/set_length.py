"""Trains for another number of epochs or steps than a config says, and fits everything that depends on it."""

from collections.abc import Callable

from mmengine.config import Config
from mmengine.logging import print_log

from convnext_dense.config.schedule.dependents import stretch_dependents
from convnext_dense.config.schedule.run_length import RunLength, counts_epochs, length_of
from convnext_dense.config.schedule.stretch import Stretch
from convnext_dense.errors import UsageError


def set_length(cfg: Config, epochs: int | None, iters: int | None, steps_an_epoch: Callable[[], int]) -> None:
    """Change how long a config trains.

    The learning rate's curve, intervals of validations and checkpoints, switches of pipelines and averages of weights
    are stretched with it, so that each happens at the same share of the run. Warm-up takes `MAX_WARM_UP_SHARE` of it at
    most. A config that counts steps goes on counting them if it is given epochs.

    Args:
        cfg: The config, which is changed.
        epochs: How many epochs to train.
        iters: How many steps to train; one of the two.
        steps_an_epoch: Returns how many steps an epoch has. It is called only if that is needed.

    Raises:
        UsageError: If both or none are given, they are not positive, or the config's loop or hooks cannot be fitted.

    Example:
        >>> cfg = Config(dict(model={}, train_dataloader=dict(batch_size=2)))
        >>> cfg.train_cfg = dict(by_epoch=False, max_iters=80000, val_interval=8000)
        >>> set_length(cfg, None, 1000, lambda: 50)
        >>> cfg.train_cfg
        {'by_epoch': False, 'val_interval': 100, 'max_iters': 1000}
    """
    name, count = ('iters', iters) if epochs is None else ('epochs', epochs)
    if epochs is not None and iters is not None:
        raise UsageError('epochs: give epochs or iters, not both.')
    if not isinstance(count, int) or count < 1:
        raise UsageError(f'{name}: it must be a whole number of at least 1; got {count!r}.')
    train_cfg = cfg.get('train_cfg') or {}
    by_epoch, old_count = (counts_epochs(train_cfg), length_of(train_cfg)) if train_cfg else (None, None)
    if by_epoch is None or not old_count:
        raise UsageError(
            f'{name}: train_cfg must be an epoch-based or an iteration-based loop with a length; got {train_cfg}.'
        )
    if not cfg.get('train_dataloader'):
        raise UsageError(f'{name}: the config has no train_dataloader, whose dataset has the steps of an epoch.')
    old = RunLength(old_count, by_epoch, steps_an_epoch)
    if epochs is not None and not by_epoch:
        new = RunLength(epochs * steps_an_epoch(), False, steps_an_epoch)
    else:
        new = RunLength(count, epochs is not None, steps_an_epoch)
    if cfg.get('param_scheduler'):
        cfg.param_scheduler = Stretch(old, new).schedulers(cfg.param_scheduler)
    stretch_dependents(cfg, old, new)
    _report(cfg, old, new, epochs)


def _report(cfg: Config, old: RunLength, new: RunLength, epochs: int | None) -> None:
    words = f'{new.count} {"epochs" if new.by_epoch else "steps"}'
    given = f'{epochs} epochs = {words}' if epochs is not None and not new.by_epoch else words
    unit = 'epochs' if old.by_epoch else 'steps'
    print_log(
        f"length: {given} instead of the config's {old.count} {unit}; the learning rate's curve, intervals and hooks "
        'are stretched.',
        logger='current',
    )
