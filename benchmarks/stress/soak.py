"""Trains for long, with crashes, resumes and evaluations, and watches what the processes hold."""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.stress.children import Child, group_members, open_files, resident_bytes
from benchmarks.stress.tiny_runs import PROGRESS, TinyRun
from convnext_dense.errors import RunError

SAMPLE_SECONDS = 0.25
# Allocators take 10 MB more, less and less often, in so many first steps of a process.
WARM_UP_STEPS = 800
# A crash comes after this many steps of a process, by chance, as long as the run is in its first part.
STEPS_TO_CRASH = (50, 150)
FIRST_PART = 0.3


class Sample(NamedTuple):
    """What a training held at a moment."""

    process: int
    step: int
    resident: int
    files: int
    workers: int


class Slope(NamedTuple):
    """A slope per 100 steps, and its standard error."""

    value: float
    error: float


def soak(run: TinyRun, seed: int, say: Callable[[str], None] = lambda text: None) -> dict:
    """Train, crash by SIGKILL and resume, to the end.

    Args:
        run: The training.
        seed: Of the crashes.
        say: Called with a line on each crash.

    Returns:
        The figures.
    """
    chance = random.Random(seed)
    run.write()
    samples: list[Sample] = []
    crashes = processes = segments = 0
    start = time.monotonic()
    is_done = False
    while not is_done:
        PROGRESS[0] = PROGRESS[1] = -1
        child = Child(run.arguments(run.folder / 'soak'), run.folder)
        limit = chance.randint(*STEPS_TO_CRASH)
        while child.is_running and not _is_due(run, limit):
            samples += _sample(child)
            time.sleep(SAMPLE_SECONDS)
        is_done = not child.is_running
        if is_done:
            child.process.join()
            if child.process.exitcode:
                raise RunError(f'the training ended with status {child.process.exitcode}; see {run.folder}/log.txt.')
        else:
            child.kill()
            crashes += 1
            say(f'crash {crashes} after step {PROGRESS[0]} of {run.steps}')
        processes += child.leaked_processes()
        segments += child.leaked_segments()
    seconds = time.monotonic() - start
    warm_up = min(WARM_UP_STEPS, run.steps // 2)
    samples = [sample for sample in samples if sample.step >= warm_up]
    memory, files = slope(samples, 'resident'), slope(samples, 'files')
    return dict(
        task=run.task,
        steps=run.steps,
        crashes=crashes,
        seconds=round(seconds),
        warm_up_steps=warm_up,
        samples=len(samples),
        resident_megabytes=round(statistics.median(sample.resident for sample in samples) / 1e6, 1),
        resident_bytes_per_100_steps=round(memory.value),
        resident_error=round(memory.error),
        resident_bytes_an_hour=round(memory.value / 100 * run.steps / seconds * 3600),
        open_files=[min(sample.files for sample in samples), max(sample.files for sample in samples)],
        open_files_per_100_steps=round(files.value, 3),
        workers=sorted({sample.workers for sample in samples}),
        leaked_processes=processes,
        leaked_shared_memory=segments,
    )


def slope(samples: list[Sample], field: str) -> Slope:
    """Return how a quantity grows in 100 steps of a process: the common slope of lines through each process's samples.

    Args:
        samples: The samples; their steps are those of their process.
        field: The quantity.

    Example:
        >>> slope([Sample(1, step, 2 * step, 0, 0) for step in range(10)], 'resident')
        Slope(value=200.0, error=0.0)
    """
    products = squares = 0.0
    centered: list[tuple[float, float]] = []
    groups = {sample.process for sample in samples}
    for process in groups:
        points = [(sample.step, getattr(sample, field)) for sample in samples if sample.process == process]
        means = [statistics.fmean(values) for values in zip(*points, strict=True)]
        centered += [(x - means[0], y - means[1]) for x, y in points]
    for x, y in centered:
        products += x * y
        squares += x * x
    if not squares:
        return Slope(0.0, 0.0)
    value = products / squares
    residual = sum((y - value * x) ** 2 for x, y in centered)
    error = (residual / max(len(centered) - len(groups) - 1, 1) / squares) ** 0.5
    return Slope(100 * value, 100 * error)


def _is_due(run: TinyRun, limit: int) -> bool:
    is_early = PROGRESS[0] < FIRST_PART * run.steps
    return is_early and PROGRESS[1] >= 0 and PROGRESS[0] - PROGRESS[1] >= limit


def _sample(child: Child) -> list[Sample]:
    process = child.process.pid
    if PROGRESS[1] < 0 or not Path(f'/proc/{process}').exists():
        return []
    try:
        workers = len(group_members(process)) - 1
        return [Sample(process, PROGRESS[0] - PROGRESS[1], resident_bytes(process), open_files(process), workers)]
    except OSError:
        return []
