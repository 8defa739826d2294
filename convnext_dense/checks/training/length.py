"""A length of the run that does not suit its schedule, or its data."""

import math
from collections.abc import Iterator

from mmengine.runner.utils import calc_dynamic_intervals

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.machine import count_processes
from convnext_dense.config.schedule.forecast import count_evaluations
from convnext_dense.config.schedule.run_length import NO_STEP, Epoch, RunLength, counts_epochs, length_of, measure_epoch
from convnext_dense.config.schedule.warm_up import MAX_WARM_UP_SHARE, is_by_epoch, schedulers_of, warm_up_share
from convnext_dense.config.tree import bare_type, value_at
from convnext_dense.errors import UsageError
from convnext_dense.wording import counted, times

# Beyond this many images, an epoch has steps enough, and counting them takes seconds.
MAX_COUNTED_IMAGES = 10_000
# Fewer steps than these train next to nothing, whatever the data.
FEW_STEPS = 200
FEW_STEPS_AN_EPOCH = 4
FEW_PASSES = 1.5
# A batch with more repetitions of each image is a typing error, which fills the memory.
MOST_REPETITIONS = 10
# They end with the run, and leave the rate too high if it ends before.
FALLING = ('CosineAnnealing', 'Poly', 'PolyLRRatio', 'OneCycle')


def find_length_faults(plan: RunPlan) -> Iterator[Finding]:
    """Yield what is odd about the length of a training: next to its schedule, and next to its data.

    Args:
        plan: What the run is about to read.
    """
    if 'train' not in plan.splits:
        return
    train_cfg = plan.cfg.get('train_cfg') or {}
    by_epoch, count = counts_epochs(train_cfg), length_of(train_cfg)
    if by_epoch is None or not isinstance(count, int) or count < 1:
        return
    processes = plan.cfg.get('num_processes') or count_processes(plan.cfg.get('launcher', 'none'))
    epoch = None
    if _is_quickly_counted(plan):
        try:
            epoch = measure_epoch(plan.cfg, processes)
        except UsageError as error:
            # Other checks say why a dataset cannot be read.
            if str(error).startswith(NO_STEP):
                yield Finding(str(error))
    length = RunLength(count, by_epoch, lambda: epoch.steps)
    yield from map(Finding, _accumulation(plan, length, epoch))
    yield from (Finding(sentence, is_error=False) for sentence in _patience(plan, length))
    yield from (Finding(sentence, is_error=False) for sentence in _late_schedulers(plan, length, epoch))
    if epoch:
        yield from map(Finding, _huge_batch(plan, length, epoch))
        yield from (Finding(sentence, is_error=False) for sentence in _small_data(plan, length, epoch, processes))


LENGTH = Check('length', 'the length of the run, next to its schedule and its data', find_length_faults)


def _is_quickly_counted(plan: RunPlan) -> bool:
    if any(fault.startswith('train') for fault in plan.unbuilt):
        return False
    for dataset in plan.datasets:
        if dataset.split == 'train' and not dataset.is_segmented:
            file = plan.coco_file(dataset)
            if file is None or len(file.images) > MAX_COUNTED_IMAGES:
                return False
    return True


def _accumulation(plan: RunPlan, length: RunLength, epoch: Epoch | None) -> Iterator[str]:
    """Yield why an update of the weights would take too many steps."""
    count = value_at(plan.cfg, 'optim_wrapper.accumulative_counts') or 1
    limits = [(epoch.steps, 'an epoch')] if epoch else []
    limits += [(length.count, 'the run')] if not length.by_epoch else []
    for steps, what in limits:
        if isinstance(count, int) and count > max(steps, 1):
            yield (
                f'accumulate (optim_wrapper.accumulative_counts): an update would take {counted(count, "step")}, '
                f'and {what} has {steps}; accumulate {steps} at most.'
            )
            return


def _huge_batch(plan: RunPlan, length: RunLength, epoch: Epoch) -> Iterator[str]:
    """Yield a sentence if a batch holds each image many times, which a run that counts steps does in silence."""
    batch = plan.cfg.train_dataloader.get('batch_size', 1)
    if not length.by_epoch and isinstance(batch, int) and batch > MOST_REPETITIONS * epoch.images:
        yield (
            f'batch_size (train_dataloader.batch_size): a batch of {batch} would hold each of '
            f'{counted(epoch.images, "image")} {times(batch / epoch.images)}; give {MOST_REPETITIONS * epoch.images} '
            'at most.'
        )


def _patience(plan: RunPlan, length: RunLength) -> Iterator[str]:
    """Yield a sentence if the run has too few validations to be ended early."""
    train_cfg = plan.cfg.train_cfg
    begin, interval = train_cfg.get('val_begin', 1), train_cfg.get('val_interval', 1 if length.by_epoch else 1000)
    intervals = calc_dynamic_intervals(interval, train_cfg.get('dynamic_intervals'))
    for i, hook in enumerate(plan.cfg.get('custom_hooks') or []):
        patience = hook.get('patience', 5)
        if bare_type(hook.get('type')) == 'EarlyStoppingHook' and isinstance(patience, int):
            number = count_evaluations(length.count, begin, *intervals)
            # The first one is better than none.
            if number <= patience:
                has = counted(number, 'validation')
                yield (
                    f'patience (custom_hooks.{i}.patience): it is {patience}, and the run has {has}, so it never ends '
                    'early; give a smaller one, or validate more often by train_cfg.val_interval.'
                )


def _late_schedulers(plan: RunPlan, length: RunLength, epoch: Epoch | None) -> Iterator[str]:
    """Yield what of the schedule lies beyond the end of the run."""
    for i, scheduler in enumerate(schedulers_of(plan.cfg)):
        by_epoch = is_by_epoch(scheduler)
        if by_epoch != length.by_epoch and not (epoch and (length.by_epoch or scheduler.get('convert_to_iter_based'))):
            continue
        unit = 'epochs' if by_epoch else 'steps'
        end = f'the run ends after {float(length.counted(by_epoch)):g}'
        begin = scheduler.get('begin', 0)
        late = [m for m in scheduler.get('milestones', ()) if length.share_of(begin + m, by_epoch) >= 1]
        if late:
            yield (
                f'param_scheduler.{i}.milestones: {", ".join(map(str, late))} {unit} are never reached, as {end}; give '
                'epochs or iters instead of changing the length alone, and they are moved.'
            )
        kind = bare_type(scheduler['type']).removesuffix('LR')
        if kind in FALLING and length.share_of(scheduler.get('end', 0), by_epoch) > 1:
            yield (
                f'param_scheduler.{i}.end: the rate would be at its lowest after {scheduler["end"]} {unit}, and {end}; '
                'give epochs or iters instead of changing the length alone, and it is moved.'
            )


def _small_data(plan: RunPlan, length: RunLength, epoch: Epoch, processes: int) -> Iterator[str]:
    """Yield what is odd about the length next to the number of images."""
    share = warm_up_share(plan.cfg, length)
    if share > MAX_WARM_UP_SHARE:
        takes = 'is longer than' if share > 1 else f'takes {share:.0%} of'
        yield (
            f'param_scheduler: warm-up of {round(share * length.steps)} steps {takes} the run, which has '
            f'{length.steps}; give epochs or iters, and it takes {MAX_WARM_UP_SHARE:.0%} at most.'
        )
    batch = plan.cfg.train_dataloader.get('batch_size', 1) * processes
    updates = length.steps // (value_at(plan.cfg, 'optim_wrapper.accumulative_counts') or 1)
    if updates < FEW_STEPS:
        made_of = (
            f'{counted(length.count, "epoch")} of {epoch.steps}' if length.by_epoch else f'of {counted(batch, "image")}'
        )
        yield (
            f'train_cfg: the run has {counted(length.steps, "step")}, {made_of}, with {counted(epoch.images, "image")}'
            f'{f", and updates the weights {updates} times" if updates < length.steps else ""}; that is hardly a '
            f'training. Give more epochs, such as epochs {_enough_epochs(epoch.steps * updates / length.steps)}.'
        )
    elif length.steps / epoch.steps < FEW_PASSES and epoch.images <= MAX_COUNTED_IMAGES:
        yield (
            f'train_cfg: each of {counted(epoch.images, "image")} is seen {times(length.steps / epoch.steps)}; give '
            f'more epochs, such as epochs {_enough_epochs(epoch.steps)}.'
        )
    if length.by_epoch and epoch.steps <= FEW_STEPS_AN_EPOCH and batch > 1:
        yield (
            f'batch_size (train_dataloader.batch_size): an epoch has {counted(epoch.steps, "step")}, with '
            f'{counted(epoch.images, "image")} taken '
            f'{batch} at a time; a smaller batch_size makes more of them.'
        )


def _enough_epochs(updates_an_epoch: float) -> int:
    """Return a round number of epochs, of 1000 updates at least."""
    return max(math.ceil(1000 / max(updates_an_epoch, 1) / 10) * 10, 20)
