"""A schedule by which nothing is trained, saved or validated, or that a loop, a loader or an optimizer refuses."""

import difflib
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.schedule.warm_up import schedulers_of
from convnext_dense.config.training_options.metrics import metric_names
from convnext_dense.config.tree import bare_type, value_at
from convnext_dense.meta_device import build_on_meta, without_allocating
from convnext_dense.wording import counted

# By key: what its value must be at least, and whether it must be a whole number.
MINIMA = {
    'train_cfg.max_epochs': (1, True),
    'train_cfg.max_iters': (1, True),
    'train_cfg.val_interval': (1, True),
    'train_cfg.val_begin': (0, True),
    'train_dataloader.batch_size': (1, True),
    'val_dataloader.batch_size': (1, True),
    'train_dataloader.num_workers': (0, True),
    'val_dataloader.num_workers': (0, True),
    'default_hooks.checkpoint.interval': (-1, True),
    'optim_wrapper.accumulative_counts': (1, True),
    'optim_wrapper.optimizer.lr': (0, False),
    'auto_scale_lr.base_batch_size': (1, False),
}
# What schedulers take as numbers.
SCHEDULER_NUMBERS = (
    *('begin', 'end', 'factor', 'start_factor', 'end_factor', 'gamma', 'power', 'step_size'),
    *('T_max', 'eta_min', 'eta_min_ratio', 'eta_max', 'total_steps', 'pct_start'),
)
BATCH_NORM = 'Expected more than 1 value per channel'


def find_schedule_faults(plan: RunPlan) -> Iterator[Finding]:
    """Yield what is wrong with the schedule of a training.

    Args:
        plan: What the run is about to read.

    Example:
        >>> cfg = Config(dict(model={}, train_cfg=dict(by_epoch=False, max_iters=0)))
        >>> [finding.sentence for finding in find_schedule_faults(RunPlan(cfg, ('train',)))]
        ['train_cfg.max_iters: it is 0; it must be a whole number of at least 1.']
    """
    if 'train' not in plan.splits:
        return
    cfg = plan.cfg
    errors = [*_numbers(cfg), *_length(cfg), *_loaders(cfg), *_gradients(cfg)]
    yield from map(Finding, errors)
    if errors:
        return
    yield from map(Finding, [*_watched_metrics(cfg), *_batch_norm(cfg)])
    for sentence in (*_nothing_saved(cfg), *_never_validated(cfg), *_schedulers(cfg), *_no_learning(cfg)):
        yield Finding(sentence, is_error=False)


SCHEDULE = Check('schedule', 'the lengths, intervals, loaders and optimizer of the config', find_schedule_faults)


def _numbers(cfg: Config) -> Iterator[str]:
    for key, (minimum, is_whole) in MINIMA.items():
        value = value_at(cfg, key)
        if value is not None and not _is_number(value, minimum, is_whole):
            kind = 'whole number' if is_whole else 'number'
            yield f'{key}: it is {value!r}; it must be a {kind} of at least {minimum}.'
    for i, scheduler in enumerate(schedulers_of(cfg)):
        for name in SCHEDULER_NUMBERS:
            value = scheduler.get(name)
            if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value != value):
                yield f'param_scheduler.{i}.{name}: it is {value!r}; it must be a number.'
        milestones = scheduler.get('milestones', ())
        if not isinstance(milestones, list | tuple) or not all(isinstance(one, int) for one in milestones):
            yield f'param_scheduler.{i}.milestones: it is {milestones!r}; it must be a list of whole numbers.'


def _is_number(value: object, minimum: int, is_whole: bool) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and value >= minimum and (value.is_integer() or not is_whole)
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def _length(cfg: Config) -> Iterator[str]:
    train_cfg = cfg.get('train_cfg')
    if not isinstance(train_cfg, dict) or not train_cfg:
        yield 'train_cfg: the config has none; it must say how long to train, as by_epoch and max_epochs or max_iters.'
    elif _train_length(cfg) is None and _counts_epochs(cfg) is not None:
        yield f'train_cfg.{"max_epochs" if _counts_epochs(cfg) else "max_iters"}: it is missing.'


def _counts_epochs(cfg: Config) -> bool | None:
    """Return whether the run counts epochs; None if its loop is not one of mmengine's."""
    kind = bare_type(cfg.train_cfg.get('type'))
    loops = {'': cfg.train_cfg.get('by_epoch', True), 'EpochBasedTrainLoop': True, 'IterBasedTrainLoop': False}
    return loops.get(kind)


def _train_length(cfg: Config) -> int | None:
    by_epoch = _counts_epochs(cfg)
    return None if by_epoch is None else cfg.train_cfg.get('max_epochs' if by_epoch else 'max_iters')


def _loaders(cfg: Config) -> Iterator[str]:
    for split in ('train', 'val'):
        loader = cfg.get(f'{split}_dataloader')
        if not isinstance(loader, dict) or loader.get('num_workers', 0):
            continue
        for name in ('persistent_workers', 'prefetch_factor'):
            if loader.get(name):
                yield (
                    f'{split}_dataloader.{name}: it is {loader[name]}, and num_workers is 0; leave it out, or take '
                    'workers.'
                )


def _gradients(cfg: Config) -> Iterator[str]:
    norm = value_at(cfg, 'optim_wrapper.clip_grad.max_norm')
    if isinstance(norm, int | float) and not norm > 0:
        yield f'optim_wrapper.clip_grad.max_norm: it is {norm}, which leaves no gradient; it must be above 0.'


def _watched_metrics(cfg: Config) -> Iterator[str]:
    """Look at the metrics by which the best checkpoint is chosen, and by which training stops early."""
    names = metric_names(cfg)
    for key, wanted in _watched(cfg):
        if not cfg.get('val_evaluator') or not cfg.get('val_dataloader'):
            yield f'{key}: it is {wanted}, and the run has no validation that could score it.'
            continue
        for name in _list(wanted):
            if names and name != 'auto' and name not in names:
                nearest = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
                yield f'{key}: the val_evaluator reports no {name}; its nearest metrics are {", ".join(nearest)}.'


def _watched(cfg: Config) -> Iterator[tuple[str, str | list[str]]]:
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    best = hook.get('save_best')
    if best and isinstance(best, str | list):
        yield 'default_hooks.checkpoint.save_best', best
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        if bare_type(hook.get('type')) == 'EarlyStoppingHook' and hook.get('monitor'):
            yield f'custom_hooks.{i}.monitor', hook['monitor']


def _list(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _batch_norm(cfg: Config) -> Iterator[str]:
    """Run a segmenter with batches of one image on the meta device, where it takes no memory, if it may fail there."""
    loader = cfg.get('train_dataloader') or {}
    if loader.get('batch_size') != 1 or cfg.get('launcher', 'none') != 'none' or 'decode_head' not in cfg.model:
        return
    if 'BN' not in str(cfg.model):
        return
    size = value_at(cfg, 'model.data_preprocessor.size')
    shape = size if isinstance(size, list | tuple) else (512, 512)
    problem = ''
    with suppress(Exception), without_allocating():
        model = revert_sync_batchnorm(build_on_meta(cfg.model, cfg.default_scope))
        model.train()
        try:
            maps = model.extract_feat(torch.empty(1, 3, *shape, device='meta'))
            heads = [model.decode_head, getattr(model, 'auxiliary_head', None)]
            for head in heads:
                for part in head if isinstance(head, torch.nn.ModuleList) else [head]:
                    part(maps)
        except ValueError as error:
            problem = str(error)
    if BATCH_NORM in problem:
        yield (
            'train_dataloader.batch_size: it is 1, and a head pools the image to one pixel before BatchNorm, which '
            'needs more than one value; take at least 2, or a norm_cfg of another type.'
        )


def _nothing_saved(cfg: Config) -> Iterator[str]:
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if not hook:
        yield 'default_hooks.checkpoint: there is none, so the trained weights are not saved.'
        return
    length, by_epoch = _train_length(cfg), _counts_epochs(cfg)
    if hook.get('save_best') or length is None:
        return
    # mmengine's default.
    interval = hook.get('interval') or -1
    hook_by_epoch = hook.get('by_epoch', True)
    if hook_by_epoch and by_epoch is False and interval > 0:
        yield (
            f'default_hooks.checkpoint.by_epoch: it is True, and the run counts steps; nothing is saved before the '
            f'last step. Set by_epoch=False to save every {counted(interval, "step")}.'
        )
    elif hook.get('save_last', True) is False and hook_by_epoch == by_epoch and not 0 < interval <= length:
        yield (
            f'default_hooks.checkpoint.interval: it is {interval}, the run is {length} long, and save_last is False; '
            'nothing is saved.'
        )


def _never_validated(cfg: Config) -> Iterator[str]:
    length = _train_length(cfg)
    begin = cfg.train_cfg.get('val_begin', 1)
    if cfg.get('val_dataloader') and length and begin > length:
        yield f'train_cfg.val_begin: it is {begin}, and the run ends at {length}; nothing is validated.'


def _schedulers(cfg: Config) -> Iterator[str]:
    schedulers = cfg.get('param_scheduler') or []
    schedulers = [schedulers] if isinstance(schedulers, dict) else schedulers
    for i, scheduler in enumerate(schedulers):
        # A dict of lists, for several optimizers, has none of its own.
        kind = bare_type(scheduler.get('type')) if isinstance(scheduler, dict) else ''
        # These act after a validation.
        counts_epochs = kind and scheduler.get('by_epoch', True) and not kind.startswith('ReduceOnPlateau')
        if counts_epochs and not scheduler.get('convert_to_iter_based') and _counts_epochs(cfg) is False:
            yield (
                f'param_scheduler.{i}: {kind} counts epochs, and the run counts steps, as one '
                'epoch; it never changes the rate. Set by_epoch=False, and its lengths in steps.'
            )


def _no_learning(cfg: Config) -> Iterator[str]:
    if value_at(cfg, 'optim_wrapper.optimizer.lr') == 0:
        yield 'optim_wrapper.optimizer.lr: it is 0, so nothing is learned.'
