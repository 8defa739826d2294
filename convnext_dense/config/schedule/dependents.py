"""What else of a config depends on the length of its run: intervals, hooks, and a few models."""

from fractions import Fraction

from mmengine.config import Config, ConfigDict

from convnext_dense.config.schedule.run_length import EPOCH_LOOP, ITER_LOOP, RunLength
from convnext_dense.config.tree import bare_type, typed_parts
from convnext_dense.errors import UsageError

SWITCHES = ('PipelineSwitchHook', 'BatchAugmentsSwitchHook')
# Those that do nothing, or the wrong thing, in a run that counts steps.
NEED_EPOCHS = (*SWITCHES, 'YOLOXModeSwitchHook', 'SetEpochInfoHook')
# Averages of weights over steps: the momentum's default.
AVERAGES = {'EMAHook': 0.0002, 'MeanTeacherHook': 0.001}
# The default of the steps over which an average's momentum falls to its own. MomentumAnnealingEMA's gamma is none: with
# any, the average reaches over 1 / gamma of the steps so far.
AVERAGE_RAMPS = {'ExpMomentumEMA': 2000}
# Parts of models: the key, its default, and whether it counts epochs.
MODEL_KEYS = {'TOODHead': ('initial_epoch', 4, True), 'BoxInstMaskHead': ('warmup_iters', 10000, False)}


def stretch_dependents(cfg: Config, old: RunLength, new: RunLength) -> None:
    """Stretch the loop's intervals, the checkpoints', hooks and models to another length of the run.

    Args:
        cfg: The config, which is changed.
        old: The length that it is for.
        new: The length to stretch it to.

    Raises:
        UsageError: If a hook needs epochs, and the new run counts steps.
    """
    if old.by_epoch and not new.by_epoch:
        _check_hooks(cfg)
        _count_steps(cfg)
    _set_loop(cfg, old, new)
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint')
    if checkpoint:
        _set_checkpoint(checkpoint, old, new)
    for hook in cfg.get('custom_hooks') or []:
        _set_hook(hook, old, new)
    for part in typed_parts(cfg.model):
        if bare_type(part['type']) in MODEL_KEYS:
            key, default, by_epoch = MODEL_KEYS[bare_type(part['type'])]
            if new.by_epoch or not by_epoch:
                part[key] = _moved(part.get(key, default), by_epoch, old, new)


def _check_hooks(cfg: Config) -> None:
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        kind = bare_type(hook.get('type'))
        if kind in NEED_EPOCHS:
            raise UsageError(
                f'iters: custom_hooks.{i}, a {kind}, acts at epochs, so the run must count them; give epochs.'
            )


def _count_steps(cfg: Config) -> None:
    """Make what counts epochs count steps."""
    log_processor = cfg.setdefault('log_processor', ConfigDict(type='LogProcessor', window_size=50))
    log_processor.by_epoch = False
    logger = cfg.setdefault('default_hooks', ConfigDict()).setdefault('logger', ConfigDict(type='LoggerHook'))
    logger.log_metric_by_epoch = False
    sampler = cfg.train_dataloader.get('sampler') or {}
    if bare_type(sampler.get('type')) == 'DefaultSampler':
        # Otherwise the workers would start again, after a pause of two seconds, in each epoch.
        sampler.type = 'InfiniteSampler'
        sampler.pop('round_up', None)


def _set_loop(cfg: Config, old: RunLength, new: RunLength) -> None:
    train_cfg = cfg.train_cfg
    for key, default in (('val_interval', 1 if old.by_epoch else 1000), ('val_begin', 1)):
        if train_cfg.get(key, default) > 1 or key == 'val_interval':
            train_cfg[key] = _moved(train_cfg.get(key, default), old.by_epoch, old, new)
    if train_cfg.get('dynamic_intervals'):
        train_cfg.dynamic_intervals = [
            tuple(_moved(number, old.by_epoch, old, new) for number in pair) for pair in train_cfg.dynamic_intervals
        ]
    old_key, new_key = ('max_epochs' if length.by_epoch else 'max_iters' for length in (old, new))
    train_cfg.pop(old_key)
    train_cfg[new_key] = new.count
    if old.by_epoch != new.by_epoch:
        train_cfg.pop('by_epoch', None)
        train_cfg.type = EPOCH_LOOP if new.by_epoch else ITER_LOOP
    elif cfg.get(new_key) == old.count:
        # A variable of the config, of which nothing follows any more, but which would mislead.
        cfg[new_key] = new.count


def _set_checkpoint(hook: dict, old: RunLength, new: RunLength) -> None:
    by_epoch = hook.get('by_epoch', True)
    if by_epoch and not old.by_epoch:
        # It saves at the end alone, which a check says.
        return
    for key in ('interval', 'save_begin'):
        if hook.get(key, 0) > 0:
            hook[key] = _moved(hook[key], by_epoch, old, new)
    if by_epoch and not new.by_epoch:
        hook.by_epoch = False


def _set_hook(hook: dict, old: RunLength, new: RunLength) -> None:
    kind = bare_type(hook.get('type'))
    if kind in SWITCHES and old.by_epoch:
        epoch = _moved(hook.switch_epoch, True, old, new)
        # It switches at all, if it did.
        hook.switch_epoch = max(min(epoch, new.count - 1), 1) if hook.switch_epoch < old.count else epoch
    elif kind == 'YOLOXModeSwitchHook' and old.by_epoch:
        # mmdet's hook switches an epoch earlier than its argument says.
        hook.num_last_epochs = max(_moved(hook.get('num_last_epochs', 15) + 1, True, old, new) - 1, 0)
    elif kind == 'EMAHook':
        if hook.get('begin_iter'):
            hook.begin_iter = _moved(hook.begin_iter, False, old, new)
        elif hook.get('begin_epoch') and old.by_epoch:
            begin = _moved(hook.begin_epoch, True, old, new)
            hook['begin_epoch' if new.by_epoch else 'begin_iter'] = begin
            if not new.by_epoch:
                del hook['begin_epoch']
    if kind in AVERAGES:
        _set_average(hook, AVERAGES[kind], _factor(old, new))


def _set_average(hook: dict, default: float, factor: Fraction) -> None:
    """Make an average reach over the same share of the run."""
    ramp = AVERAGE_RAMPS.get(bare_type(hook.get('ema_type')))
    if ramp:
        hook['gamma'] = max(round(hook.get('gamma', ramp) * factor), 1)
    hook['momentum'] = 1 - (1 - hook.get('momentum', default)) ** float(1 / factor)


def _factor(old: RunLength, new: RunLength) -> Fraction:
    if old.by_epoch == new.by_epoch:
        return Fraction(new.count, old.count)
    return Fraction(new.steps, old.steps)


def _moved(position: int, by_epoch: bool, old: RunLength, new: RunLength) -> int:
    """Return an epoch or a step of the old run in the new one, which counts steps if the new run does; at least 1."""
    return max(round(old.share_of(position, by_epoch) * new.counted(by_epoch and new.by_epoch)), 1)
