"""Says how long a run will take."""

import statistics
import time
from datetime import timedelta

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.config.schedule.forecast import count_evaluations
from convnext_dense.registry import HOOKS
from convnext_dense.training.quiet_start import SHOWN_AT_START
from convnext_dense.wording import counted

# The first steps start workers, allocate memory and choose kernels.
LEFT_OUT_STEPS = 3
TIMED_STEPS = 5
FIRST_STEPS = LEFT_OUT_STEPS + TIMED_STEPS


@HOOKS.register_module()
class RunTimeHook(Hook):
    """Logs how long the training will take, by its own first steps, and again after the first validation.

    The first `LEFT_OUT_STEPS` do not count; the mean of the next `TIMED_STEPS` does, waiting for data included. No step
    is made for it. A run of fewer steps says nothing.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.RunTimeHook')]
    """

    # After the other hooks, whose time counts.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._last = 0.0
        self._durations: list[float] = []
        self._seconds_a_step = 0.0
        self._validation_start: float | None = None
        self._has_validated = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the clock before the first batch is loaded."""
        self._last = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Time a step, and say how long the run will take if it was the last to be timed."""
        if self._seconds_a_step:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self._durations.append(now - self._last)
        self._last = now
        if len(self._durations) < FIRST_STEPS:
            return
        self._seconds_a_step = statistics.fmean(self._durations[LEFT_OUT_STEPS:])
        left = runner.max_iters - runner.iter - 1
        apart = ', validation not included' if runner.val_loop else ''
        self._say(
            runner, f'about {duration_of(left * self._seconds_a_step)} for the {counted(left, "step")} to go{apart}'
        )

    def before_val(self, runner: Runner) -> None:
        """Start the clock of the first validation."""
        self._validation_start = time.perf_counter()

    def after_val(self, runner: Runner) -> None:
        """Say how long the run will take with its validations."""
        # Its time is none of the next step's.
        now = self._last = time.perf_counter()
        left = runner.max_iters - runner.iter
        if self._has_validated or not self._seconds_a_step or left < 1 or self._validation_start is None:
            return
        self._has_validated = True
        a_validation = now - self._validation_start
        loop = runner.train_loop
        by_epoch = not hasattr(loop, 'dataloader_iterator')
        place, count = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
        begin = max(loop.val_begin, place + 1)
        validations = count_evaluations(count, begin, loop.dynamic_milestones, loop.dynamic_intervals)
        total = left * self._seconds_a_step + validations * a_validation
        self._say(
            runner,
            f'about {duration_of(total)} to go, of which {counted(validations, "validation")} of {a_validation:.1f} s',
        )

    def _say(self, runner: Runner, sentence: str) -> None:
        runner.logger.info(f'run time: {sentence} ({self._seconds_a_step:.3g} s a step).', extra=SHOWN_AT_START)


def duration_of(seconds: float) -> str:
    """Return a duration as people read it.

    Args:
        seconds: The duration.

    Example:
        >>> duration_of(95.2), duration_of(4000)
        ('95 s', '1:06:40')
    """
    return str(timedelta(seconds=round(seconds))) if seconds >= 120 else f'{seconds:.0f} s'
