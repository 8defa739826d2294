"""Accumulates gradients over several steps before the weights are updated."""

from mmengine.config import Config

from convnext_dense.errors import UsageError


def set_accumulation(cfg: Config, accumulate: int) -> None:
    """Update the weights after every so many steps, with the mean of their gradients.

    A step stays a batch of the loader: epochs, schedules, warm-up and intervals count those. `set_batch_size` scales
    the learning rate to the images of an update.

    Args:
        cfg: The config, which is changed.
        accumulate: How many steps an update has.

    Raises:
        UsageError: If it is not positive, or the config has no optim_wrapper with an optimizer of its own.

    Example:
        >>> cfg = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.02))))
        >>> set_accumulation(cfg, 4)
        >>> cfg.optim_wrapper.accumulative_counts
        4
    """
    if not isinstance(accumulate, int) or accumulate < 1:
        raise UsageError(f'accumulate: it must be a whole number of at least 1; got {accumulate!r}.')
    if not (cfg.get('optim_wrapper') or {}).get('optimizer'):
        raise UsageError('accumulate: the config has no optim_wrapper with an optimizer, whose updates would wait.')
    cfg.optim_wrapper.accumulative_counts = accumulate
