"""Runs steps one after the other within a budget of time. Nothing that a step does can stop the others."""

import importlib.util
import time
from collections.abc import Callable, Sequence

from benchmarks.gpu.record import DONE, Record
from benchmarks.gpu.step import COMPILER, GPU, Step, run_process

# A step that hangs takes so many times its expected time at most, unless there is more than the others need.
PATIENCE = 3
# To start a step and to end it.
SPARE_SECONDS = 5
NOT_STARTED = 'not started: no time'


def run_steps(steps: Sequence[Step], record: Record, deadline: float, report: Callable[[str], None]) -> None:
    """Run the steps that are not done, in order.

    A step starts if its expected time fits before the deadline. It may take all that the steps after it do not need,
    and at least `PATIENCE` times what it is expected to; the deadline is the end for all.

    Args:
        steps: The steps.
        record: Where they are noted.
        deadline: A value of `time.monotonic`.
        report: Takes a line of text on what happens. Called before and after a step.

    Raises:
        KeyboardInterrupt: If this process was asked to stop. The figures of the step that ran are kept.
    """
    pending = [step for step in steps if not record.is_done(step)]
    for done in (step for step in steps if record.is_done(step)):
        report(f'{done.name}: done before')
    for i, step in enumerate(pending):
        left = deadline - time.monotonic()
        if missing := [name for name in step.needs if not _is_there(name, record)]:
            record.leave(step, f'skipped: this machine lacks {" and ".join(missing)}')
            report(f'{step.name}: skipped, for want of {" and ".join(missing)}')
        elif 60 * step.minutes > left:
            record.leave(step, NOT_STARTED)
            report(f'{step.name}: {NOT_STARTED} ({step.minutes:.1f} minutes expected, {max(left, 0) / 60:.1f} left)')
        else:
            others = 60 * sum(other.minutes for other in pending[i + 1 :]) + SPARE_SECONDS * len(pending[i + 1 :])
            limit = min(left, max(60 * PATIENCE * step.minutes, left - others))
            report(f'{step.name}: {step.minutes:.1f} minutes expected, {left / 60:.1f} left, {limit / 60:.1f} at most')
            _run(step, record, limit)
            entry = record.steps[step.name]
            report(f'{step.name}: {entry["status"]} after {entry["seconds"]:.0f} s')


def _run(step: Step, record: Record, limit: float) -> None:
    start, began = record.start(step), time.monotonic()

    def facts(status: str, seconds: float, **others: object) -> dict:
        figures = record.figures()
        found = {} if figures is None else dict(figures=figures)
        return dict(status=status, seconds=round(seconds, 1), **others, **found)

    try:
        ended = run_process(step, record.running, record.log, limit)
    except KeyboardInterrupt:
        record.set(step, **facts('interrupted', time.monotonic() - began))
        raise
    if ended.timed_out:
        status = f'timed out: {limit / 60:.1f} minutes were over'
    elif ended.code < 0:
        status = f'killed by signal {-ended.code}'
    else:
        status = f'failed with exit code {ended.code}' if ended.code else DONE
    log = {} if status == DONE else dict(log=record.log_end(start))
    record.set(step, **facts(status, ended.seconds, exit_code=ended.code, **log))
    record.running.unlink(missing_ok=True)


def _is_there(need: str, record: Record) -> bool:
    known = {COMPILER: record.machine.get('compiler'), GPU: record.machine['type'] == 'cuda'}
    return bool(known[need]) if need in known else importlib.util.find_spec(need) is not None
