"""Kills trainings at random moments, and resumes them."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.stress.children import PIECE_SECONDS, PIECES, Child
from benchmarks.stress.tiny_runs import PROGRESS, TinyRun
from convnext_dense.config.resume import NUMBERED, find_latest
from convnext_dense.errors import CheckpointError, RunError, UsageError
from convnext_dense.training.checkpoints.whole_checkpoints import UNFINISHED
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.weights.storage.files import read_file

# When a training is killed, and how often: while it starts, between its first step and its last, and while it saves.
MOMENTS = {'starting': 1, 'training': 5, 'saving': 4}
KILLS_OF_A_RUN = 5
POLL_SECONDS = 0.002
EQUAL = 'equal to the uninterrupted run, bit for bit'


@dataclass
class Kill:
    """A kill, and what was found after it.

    Args:
        moment: One of `MOMENTS`.
        steps: How many steps the training had done.
        kept: How many of them the newest good checkpoint has.
        broken: How many checkpoints of a final name cannot be read, or have wrong checksums.
        unfinished: Whether it was in the middle of writing a file.
        processes: How many processes were left.
        segments: How many segments of shared memory were left.
    """

    moment: str
    steps: int
    kept: int
    broken: int
    unfinished: bool
    processes: int
    segments: int


def stress(run: TinyRun, kills: int, seed: int, say: Callable[[str], None] = lambda text: None) -> dict:
    """Kill trainings, resume each to its end, and compare it with one that was never killed.

    Args:
        run: The training.
        kills: How many times to kill one; each is killed up to five times.
        seed: Of the moments.
        say: Called with a line on each kill.

    Returns:
        The figures.
    """
    chance = random.Random(seed)
    run.write()
    start = time.monotonic()
    reference = _finish(run, run.folder / 'reference')
    seconds = time.monotonic() - start
    done: list[Kill] = []
    results: list[str] = []
    failures = 0
    while len(done) < kills:
        work_dir = run.folder / f'run_{len(results)}'
        try:
            for _ in range(min(KILLS_OF_A_RUN, kills - len(done))):
                (moment,) = chance.choices([*MOMENTS], [*MOMENTS.values()])
                kill = _kill(run, work_dir, moment, chance, seconds)
                if kill is None:
                    break
                done.append(kill)
                say(f'{len(done)} of {kills}: {kill}')
            results.append(_difference(reference, _finish(run, work_dir)) or EQUAL)
        except (RunError, UsageError) as error:
            # It could not resume after the last kill.
            failures += 1
            results.append(str(error))
        say(f'run {len(results)}: {results[-1]}')
    lost = [kill.steps - kill.kept for kill in done]
    return dict(
        task=run.task,
        kills=len(done),
        moments=dict(Counter(kill.moment for kill in done)),
        in_the_middle_of_a_file=sum(kill.unfinished for kill in done),
        survived=len(done) - failures,
        broken_files=sum(kill.broken for kill in done),
        checkpoint_interval=run.interval_in_steps,
        most_steps_lost=max(lost, default=0),
        runs=len(results),
        runs_of_equal_weights=results.count(EQUAL),
        leaked_processes=sum(kill.processes for kill in done),
        leaked_shared_memory=sum(kill.segments for kill in done),
        each=[asdict(kill) for kill in done],
        results=results,
    )


def _kill(run: TinyRun, work_dir: Path, moment: str, chance: random.Random, seconds: float) -> Kill | None:
    """Start or resume a training and kill it; None if it has ended before its moment came."""
    PROGRESS[0] = PROGRESS[1] = -1
    child = Child(run.arguments(work_dir), run.folder, is_slow=moment == 'saving')
    if moment == 'starting':
        _wait(child, lambda: PROGRESS[0] >= 0, at_most=chance.uniform(0, seconds / 2))
    elif moment == 'training':
        _wait(child, lambda: PROGRESS[0] >= 0)
        last = chance.randint(max(PROGRESS[0], 0), run.steps)
        _wait(child, lambda: PROGRESS[0] >= last)
        # Anywhere in the step after it, or in what follows it.
        _wait(child, lambda: False, at_most=chance.uniform(0, 0.2))
    else:
        # What a run before it has left is removed when it starts to train.
        _wait(child, lambda: PROGRESS[0] >= 0)
        before = chance.randrange(3)
        for _ in range(before):
            _wait(child, lambda: _is_saving(work_dir))
            _wait(child, lambda: not _is_saving(work_dir))
        _wait(child, lambda: _is_saving(work_dir))
        _wait(child, lambda: False, at_most=chance.uniform(0, 1.2 * PIECES * PIECE_SECONDS))
    if not child.is_running:
        _check_end(run, child)
        return None
    child.kill()
    steps = max(PROGRESS[0], 0)
    broken = sum(map(_is_broken, work_dir.glob('*.pth')))
    kept = _steps(find_latest(work_dir)[0]) if list(work_dir.glob('*.pth')) else 0
    is_saving = _is_saving(work_dir)
    return Kill(moment, steps, kept, broken, is_saving, child.leaked_processes(), child.leaked_segments())


def _wait(child: Child, is_over: Callable[[], bool], at_most: float = 300) -> None:
    deadline = time.monotonic() + at_most
    while child.is_running and not is_over() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _is_saving(work_dir: Path) -> bool:
    return any(work_dir.glob(f'*{UNFINISHED}'))


def _is_broken(file: Path) -> bool:
    try:
        read_file(file)
        verify_checksums(file)
    except CheckpointError:
        return True
    return False


def _steps(file: Path | None) -> int:
    return read_file(file)['meta']['iter'] if file else 0


def _finish(run: TinyRun, work_dir: Path) -> dict[str, torch.Tensor]:
    """Let a training come to its end, and return its weights."""
    child = Child(run.arguments(work_dir), run.folder)
    _wait(child, lambda: False)
    _check_end(run, child)
    file = find_latest(work_dir)[0]
    if file is None or not NUMBERED.fullmatch(file.name) or _steps(file) < run.steps:
        raise UsageError(f'{work_dir} has no checkpoint of step {run.steps}.')
    return {name: tensor.clone() for name, tensor in read_file(file)['state_dict'].items()}


def _check_end(run: TinyRun, child: Child) -> None:
    child.process.join()
    if child.process.exitcode:
        log = (run.folder / 'log.txt').read_text(errors='replace').splitlines()[-15:]
        raise RunError(f'a {run.task} ended with status {child.process.exitcode}:\n' + '\n'.join(log))


def _difference(weights: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> str:
    """Say how weights differ; '' if they are equal bit for bit."""
    names = [name for name in weights if not torch.equal(weights[name], others[name])]
    if not names:
        return ''
    most = max(float((weights[name].float() - others[name].float()).abs().max()) for name in names)
    return f'{len(names)} of {len(weights)} tensors differ, by {most:.3g} at most'
