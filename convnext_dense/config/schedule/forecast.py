"""What a run will do, in numbers, before it does it."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from convnext_dense.config.schedule.run_length import RunLength
from convnext_dense.wording import counted, times


@dataclass(frozen=True)
class Forecast:
    """What a run will do.

    Args:
        images: The training data's length.
        batch_size: Images of a step in each process.
        processes: How many processes train.
        accumulation: Over how many steps gradients are accumulated.
        length: The run's length.
        warm_up: Which share of the run warm-up takes, as `warm_up_share` returns it.
        evaluations: How often the model is validated.
        checkpoints: How often it is saved.
        done: How many of its steps a run that is resumed has behind it.

    Example:
        >>> forecast = Forecast(60, 2, 8, 1, RunLength(36, True, lambda: 4), 1000 / 144, 36, 3)
        >>> for name, value in forecast.lines().items():
        ...     print(f'{name}: {value}')
        batch: 2 images x 8 processes = 16 an update
        schedule: 36 epochs of 4 steps = 144 steps; each of 60 images is seen 36 times
        warm-up: 1000 steps, longer than the run
        evaluations: 36, and 3 checkpoints

        Where gradients are accumulated, updates are fewer than steps:

        >>> Forecast(60, 2, 1, 8, RunLength(36, True, lambda: 30), 100 / 1080, 36, 3).lines()['warm-up']
        '100 steps, 12 updates, 9.3% of the run'
        >>> Forecast(60, 2, 1, 1, RunLength(36, True, lambda: 30), 100 / 1080, 36, 3, done=540).lines()['warm-up']
        'over, it was 100 steps'
    """

    images: int
    batch_size: int
    processes: int
    accumulation: int
    length: RunLength
    warm_up: float
    evaluations: int
    checkpoints: int
    done: int = 0

    @property
    def batch(self) -> int:
        """Images of an update of the weights."""
        return self.batch_size * self.processes * self.accumulation

    @property
    def passes(self) -> float:
        """How often each image is seen."""
        return self.length.steps / self.length.steps_an_epoch()

    def lines(self) -> dict[str, str]:
        """Return what there is to say, by its name."""
        length = self.length
        an_epoch = length.steps_an_epoch()
        steps = counted(length.steps, 'step')
        if length.by_epoch:
            steps = f'{counted(length.count, "epoch")} of {counted(an_epoch, "step")} = {steps}'
        steps += self._updates(length.steps)
        seen = f'each of {counted(self.images, "image")} is seen {times(self.passes)}'
        factors = [counted(self.batch_size, 'image')]
        factors += [f'{self.processes} processes'] if self.processes > 1 else []
        factors += [f'{self.accumulation} accumulated steps'] if self.accumulation > 1 else []
        total = f' = {self.batch} an update' if len(factors) > 1 else ''
        return {
            'batch': ' x '.join(factors) + total,
            'schedule': f'{steps}; {seen}',
            'warm-up': self._warm_up(),
            'evaluations': f'{self.evaluations or "none"}, and {counted(self.checkpoints, "checkpoint")}',
        }

    def _updates(self, steps: int) -> str:
        """Return how many updates of the weights some steps are, if that is another number."""
        return f', {counted(steps // self.accumulation, "update")}' if self.accumulation > 1 else ''

    def _warm_up(self) -> str:
        if not self.warm_up:
            return 'none'
        number = round(self.warm_up * self.length.steps)
        steps = counted(number, 'step') + self._updates(number)
        if self.done and self.done >= number:
            return f'over, it was {steps}'
        going = f', {self.done} of them done' if self.done else ''
        share = 'longer than the run' if self.warm_up > 1 else f'{self.warm_up:.1%} of the run'
        return f'{steps}, {share}{going}'


def count_evaluations(count: int, begin: int, milestones: Sequence[int], intervals: Sequence[int]) -> int:
    """Return how often mmengine's loops validate.

    Args:
        count: The run's length, in epochs or steps.
        begin: From when on.
        milestones: When each of `intervals` begins.
        intervals: The intervals.

    Example:
        >>> count_evaluations(12, 1, [0, 10], [5, 1])
        5
    """
    number = 0
    for place in range(max(begin, 1), count + 1):
        interval = intervals[bisect.bisect(milestones, place + 1) - 1]
        number += place % interval == 0 or place == count
    return number


def count_checkpoints(count: int, interval: int, begin: int = 0, save_last: bool = True) -> int:
    """Return how often mmengine's CheckpointHook saves.

    Args:
        count: The run's length, in what the interval is counted in.
        interval: How often; below 1 for never.
        begin: From when on.
        save_last: Whether the end of the run is saved in any case.

    Example:
        >>> count_checkpoints(36, 12), count_checkpoints(40, 12), count_checkpoints(40, -1)
        (3, 4, 1)
    """
    if interval < 1 or begin > count:
        return int(save_last)
    number = (count - begin) // interval if begin else count // interval
    # A first one lies at the beginning itself.
    number += begin > 0
    return number + (save_last and (count - begin) % interval != 0)
