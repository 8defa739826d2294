"""Changes the batch size of a config, and its learning rate with it."""

from collections.abc import Collection, Iterator

from mmengine.config import Config
from mmengine.logging import print_log

from convnext_dense.config.schedule.warm_up import schedulers_of
from convnext_dense.config.tree import value_at
from convnext_dense.errors import UsageError
from convnext_dense.wording import counted


def set_batch_size(
    cfg: Config,
    batch_size: int | None,
    processes: int = 1,
    accumulation: int = 1,
    given: Collection[str] = (),
    old_accumulation: int | None = None,
) -> None:
    """Take another number of images a step, and scale the learning rate linearly with the images of an update.

    The rate is for ``auto_scale_lr.base_batch_size`` images, which becomes the new number. If the config does not say
    for how many it is, it is for the config's own batch size, in as many processes as there are.

    Args:
        cfg: The config, which is changed.
        batch_size: Images of a step in each process; None for the config's.
        processes: How many processes train.
        accumulation: Over how many steps gradients are accumulated.
        given: The keys of the config's options. A learning rate among them is not scaled.
        old_accumulation: Over how many steps they were, if that changes: what the config's own rate is for.

    Raises:
        UsageError: If the batch size is not positive, or the config's sampler has its own.

    Example:
        >>> cfg = Config(dict(train_dataloader=dict(batch_size=2), auto_scale_lr=dict(base_batch_size=16)))
        >>> cfg.optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.02))
        >>> set_batch_size(cfg, 4)
        >>> cfg.train_dataloader.batch_size, cfg.optim_wrapper.optimizer.lr, cfg.auto_scale_lr.base_batch_size
        (4, 0.005, 4)
    """
    argument = 'accumulate' if batch_size is None else 'batch_size'
    loader = cfg.get('train_dataloader')
    if not loader:
        raise UsageError(f'{argument}: the config has no train_dataloader.')
    old = _own_batch_size(loader)
    if batch_size is None:
        batch_size = old
    else:
        _check(batch_size, loader)
        loader.batch_size = batch_size
    total = batch_size * processes * accumulation
    base = value_at(cfg, 'auto_scale_lr.base_batch_size')
    source = 'auto_scale_lr.base_batch_size' if base else "the config's own batch_size"
    base = base or old * processes * (old_accumulation or accumulation)
    if 'auto_scale_lr' in cfg and cfg.auto_scale_lr:
        # Scaling by it once more, here or in mmdet, changes nothing.
        cfg.auto_scale_lr.base_batch_size = total
    factors = f'{counted(batch_size, "image")} x {processes} (processes) x {accumulation} (accumulated steps)'
    counts = f'{factors} = {total} an update'
    if any(key.startswith('optim_wrapper') and key.rpartition('.')[2] in ('lr', 'optimizer') for key in given):
        rule = 'the lr is that of cfg_options'
    else:
        factor = total / base
        rates = _scale_rates(cfg, factor)
        rule = f'the lr is for {base} ({source}), and is scaled linearly: {rates}' if rates else 'the config has no lr'
    print_log(f'{argument}: {counts}; {rule}.', logger='current')


def _check(batch_size: int, loader: dict) -> None:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f'batch_size: it must be a whole number of at least 1; got {batch_size!r}.')
    for name in ('sampler', 'batch_sampler'):
        if 'batch_size' in (loader.get(name) or {}):
            raise UsageError(f'batch_size: train_dataloader.{name} has its own batch_size; change that by cfg_options.')


def _own_batch_size(loader: dict) -> int:
    """Return a loader's images of a step, which its samplers may have."""
    holders = [loader, *(loader.get(name) or {} for name in ('batch_sampler', 'sampler'))]
    return next((holder['batch_size'] for holder in holders if isinstance(holder.get('batch_size'), int)), 1)


def _scale_rates(cfg: Config, factor: float) -> str:
    """Scale all learning rates; return what becomes of them, in words."""
    words = []
    for optimizer in _optimizers(cfg.get('optim_wrapper') or {}):
        rate = optimizer['lr']
        words.append(f'{rate:g} x {factor:g} = {rate * factor:g}')
        optimizer['lr'] = rate * factor
    scale_schedule(cfg, factor)
    return ', '.join(words)


def _optimizers(part: object) -> Iterator[dict]:
    """Yield the configs of the optimizers that have a learning rate, of which a wrapper may have several."""
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if name == 'optimizer' and isinstance(value, dict) and isinstance(value.get('lr'), int | float):
            yield value
        else:
            yield from _optimizers(value)


def scale_schedule(cfg: Config, factor: float) -> None:
    """Scale the learning rates that a schedule names.

    Args:
        cfg: The config, which is changed.
        factor: By how much.

    Example:
        >>> cfg = Config(dict(param_scheduler=dict(type='PolyLR', eta_min=1e-4)))
        >>> scale_schedule(cfg, 0.5)
        >>> cfg.param_scheduler.eta_min
        5e-05
    """
    for scheduler in schedulers_of(cfg):
        for key in ('eta_min', 'eta_max'):
            if scheduler.get(key) and 'Momentum' not in scheduler['type']:
                scheduler[key] *= factor
