"""A step of the measurement: a command in a process of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# Needs like a package. `torch.compile` and Triton need the compiler.
GPU = 'an NVIDIA GPU'
COMPILER = 'a C compiler and the headers of Python'


@dataclass(frozen=True)
class Step:
    """A command to run.

    Args:
        name: Its name.
        claim: Which figures it is for: a key of `benchmarks.gpu.claims.READERS`.
        minutes: How long it is expected to take on an H100.
        command: Arguments for Python. ``{out}`` stands for the file of its figures, ``{work}`` for a folder of its own.
        needs: Packages without which it is skipped, `COMPILER` or `GPU`.
        environment: Variables that it sets.
        figures: The file of its figures.
    """

    name: str
    claim: str
    minutes: float
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    figures: str = '{out}'

    @property
    def line(self) -> str:
        """The command as a person types it."""
        words = [f"'{word}'" if ' ' in word else word for word in self.command]
        variables = [f'{name}={value}' for name, value in self.environment.items()]
        return ' '.join([*variables, 'python', *words]).replace(' --out {out}', '')


class Ended(NamedTuple):
    """How a process ended: its exit code, which is negative for a signal; and whether its time was over."""

    code: int
    timed_out: bool
    seconds: float


def run_process(step: Step, out: Path, log: Path, limit: float) -> Ended:
    """Run a step, and append what it prints to a file. When its time is over, it is killed with all it has started.

    Args:
        step: The step.
        out: The file of its figures.
        log: The file to append to.
        limit: How many seconds it has.

    Raises:
        KeyboardInterrupt: If this process was asked to stop. The step is killed.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work, log.open('ab') as output:
        places = dict(out=str(out.resolve()), work=work)
        words = [word.format_map(places) for word in step.command]
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=work,
            env=_environment(step),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _kill_group(process)
        figures = Path(step.figures.format_map(places))
        if figures != out.resolve() and figures.is_file():
            out.write_bytes(figures.read_bytes())
    return Ended(process.returncode, timed_out, time.monotonic() - started)


def _environment(step: Step) -> dict[str, str]:
    # The step runs elsewhere, so that relative places are made absolute.
    places = [os.path.abspath(place) for place in os.environ.get('PYTHONPATH', '').split(os.pathsep) if place]
    paths = os.pathsep.join(dict.fromkeys([str(ROOT), *places]))
    return {**os.environ, 'PYTHONPATH': paths, 'PYTHONUNBUFFERED': '1', **step.environment}


def _kill_group(process: subprocess.Popen) -> None:
    """Kill a process and what it has started, if anything of it is left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
