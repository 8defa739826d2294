"""Stretches learning-rate schedules to another length of a run."""

from fractions import Fraction

from mmengine.config import ConfigDict

from convnext_dense.config.schedule.run_length import RunLength
from convnext_dense.config.schedule.warm_up import MAX_WARM_UP_SHARE, is_by_epoch, is_warm_up
from convnext_dense.config.tree import bare_type

# Lengths that count from a scheduler's beginning.
LENGTHS = ('T_max', 'total_steps')
# A scheduler that is shorter would never bring the rate back to its own.
MIN_WARM_UP = 2


class Stretch:
    """Changes schedulers so that each share of the new run has the rate that the same share of the old one had.

    Only warm-up is an exception: it is `MAX_WARM_UP_SHARE` of the run at most. What would lie between two epochs is
    counted in steps from then on.

    Args:
        old: The length for which the schedulers are.
        new: The length to stretch them to.

    Example:
        >>> old, new = RunLength(12, True, lambda: 50), RunLength(6, True, lambda: 50)
        >>> Stretch(old, new).scheduler(dict(type='MultiStepLR', milestones=[8, 11], end=12))
        {'type': 'MultiStepLR', 'milestones': [200, 275], 'end': 300, 'by_epoch': False}
    """

    def __init__(self, old: RunLength, new: RunLength) -> None:
        self.old, self.new = old, new
        # By the share at which a warm-up ended, that at which it ends now.
        self.warm_ups: dict[Fraction, Fraction] = {}

    def schedulers(self, schedulers: dict | list) -> dict | list:
        """Return schedulers for the new length, nested as they were; warm-up of less than two steps is left out.

        Args:
            schedulers: A config's ``param_scheduler``.
        """
        self._find_warm_ups(schedulers)
        if isinstance(schedulers, dict) and 'type' in schedulers:
            return self.scheduler(schedulers) or []
        if isinstance(schedulers, dict):
            return ConfigDict({name: self.schedulers(part) for name, part in schedulers.items()})
        return [part for scheduler in schedulers if (part := self.scheduler(scheduler))]

    def _find_warm_ups(self, schedulers: dict | list) -> None:
        parts = [schedulers] if isinstance(schedulers, dict) and 'type' in schedulers else schedulers
        for scheduler in parts if isinstance(parts, list | tuple) else []:
            if is_warm_up(scheduler) and self._acts(scheduler):
                # Without an end it takes the whole run, as mmengine has it.
                scheduler.setdefault('end', int(self.old.counted(is_by_epoch(scheduler))))
                share = self.old.share_of(scheduler['end'], is_by_epoch(scheduler))
                self.warm_ups[share] = min(share, Fraction(MAX_WARM_UP_SHARE).limit_denominator(100))

    def _acts(self, scheduler: dict) -> bool:
        """Return whether a scheduler changes a rate: one that counts epochs does not in a run that counts steps."""
        counted = self.old.by_epoch or not is_by_epoch(scheduler) or scheduler.get('convert_to_iter_based')
        return bool(counted) and not bare_type(scheduler['type']).startswith('ReduceOnPlateau')

    def scheduler(self, scheduler: dict) -> dict | None:
        """Return a scheduler for the new length; None if it is a warm-up of less than two steps.

        Args:
            scheduler: Its config.
        """
        if not self._acts(scheduler):
            return scheduler
        by_epoch = is_by_epoch(scheduler)
        if by_epoch and not (self.new.by_epoch and self._are_whole(scheduler)):
            by_epoch = False
        changed = ConfigDict(scheduler)
        if by_epoch != is_by_epoch(scheduler):
            changed.by_epoch = False
            changed.pop('convert_to_iter_based', None)
        self._move(changed, scheduler, by_epoch)
        return None if is_warm_up(scheduler) and changed.end < MIN_WARM_UP else changed

    def _move(self, changed: dict, scheduler: dict, by_epoch: bool) -> None:
        """Set every position of a scheduler that changes."""
        old_begin = scheduler.get('begin', 0)
        begin = self._place(old_begin, scheduler, by_epoch)
        if 'begin' in scheduler:
            changed['begin'] = begin
        if 'end' in scheduler:
            changed['end'] = max(self._place(scheduler['end'], scheduler, by_epoch), begin + 1)
        for key in LENGTHS:
            if scheduler.get(key):
                changed[key] = max(self._place(old_begin + scheduler[key], scheduler, by_epoch) - begin, 1)
        if 'milestones' in scheduler:
            places = [self._inside(old_begin + milestone, scheduler, by_epoch) for milestone in scheduler['milestones']]
            changed['milestones'] = [place - begin for place in places]
        if 'periods' in scheduler:
            ends = [old_begin + sum(scheduler['periods'][: i + 1]) for i in range(len(scheduler['periods']))]
            places = [begin, *(self._place(end, scheduler, by_epoch) for end in ends)]
            changed['periods'] = [max(places[i + 1] - places[i], 1) for i in range(len(ends))]
        if 'step_size' in scheduler:
            self._set_steps(changed, scheduler, by_epoch)
        if bare_type(scheduler['type']).startswith('Exponential'):
            # Old steps are fewer or more new ones, and each of those decays less or more.
            counts_steps = not is_by_epoch(scheduler) or scheduler.get('convert_to_iter_based')
            old_count = self.old.counted(not counts_steps)
            changed['gamma'] = scheduler['gamma'] ** float(old_count / self.new.counted(by_epoch and not counts_steps))

    def _set_steps(self, changed: dict, scheduler: dict, by_epoch: bool) -> None:
        """Set StepLR's size, or its steps one by one if they are no longer of equal size."""
        size = self._position(scheduler['step_size'], scheduler, by_epoch)
        if size.denominator == 1:
            changed['step_size'] = int(size)
            return
        begin = scheduler.get('begin', 0)
        unit_end = scheduler.get('end', self.old.counted(is_by_epoch(scheduler)))
        last = int((Fraction(unit_end) - begin - 1) // scheduler['step_size'])
        del changed['step_size']
        changed['type'] = scheduler['type'].replace('Step', 'MultiStep')
        new_begin = self._place(begin, scheduler, by_epoch)
        changed['milestones'] = [
            self._inside(begin + i * scheduler['step_size'], scheduler, by_epoch) - new_begin
            for i in range(1, last + 1)
        ]

    def _position(self, position: float, scheduler: dict, by_epoch: bool) -> Fraction:
        """Return where a position of a scheduler lies in the new run, in epochs or steps."""
        share = self.old.share_of(position, is_by_epoch(scheduler))
        return self.warm_ups.get(share, share) * self.new.counted(by_epoch)

    def _place(self, position: float, scheduler: dict, by_epoch: bool) -> int:
        exact = self._position(position, scheduler, by_epoch)
        is_cut = self.old.share_of(position, is_by_epoch(scheduler)) in self.warm_ups
        # Rounded down, warm-up keeps to its bound.
        return int(exact) if is_cut else round(exact)

    def _inside(self, position: float, scheduler: dict, by_epoch: bool) -> int:
        """Return where a milestone lies: within the new run, if it was within the old one."""
        place = self._place(position, scheduler, by_epoch)
        if self.old.share_of(position, is_by_epoch(scheduler)) >= 1:
            return place
        return max(min(place, int(self.new.counted(by_epoch)) - 1), 1)

    def _are_whole(self, scheduler: dict) -> bool:
        """Return whether all positions of a scheduler that counts epochs are whole epochs of the new run."""
        if is_warm_up(scheduler) and self._position(scheduler['end'], scheduler, by_epoch=True) < MIN_WARM_UP:
            return False
        begin = scheduler.get('begin', 0)
        positions = [begin, *([scheduler['end']] if 'end' in scheduler else [])]
        positions += [begin + scheduler[key] for key in LENGTHS if scheduler.get(key)]
        positions += [begin + milestone for milestone in scheduler.get('milestones', ())]
        positions += [begin + sum(scheduler['periods'][: i + 1]) for i in range(len(scheduler.get('periods', ())))]
        positions += [begin + scheduler['step_size']] if 'step_size' in scheduler else []
        return all(self._position(position, scheduler, by_epoch=True).denominator == 1 for position in positions)
