"""Measure a GPU: the tests that need one, the backbone, the kernels, training, testing and the demo, in order of worth.

Each step is a command in a process of its own. What it measured is on disk when it ends, fails, hangs or is killed, and
the next one goes on. Without a GPU, a rehearsal runs each kind of step at tiny sizes.
"""

import argparse
import fnmatch
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from benchmarks.gpu.claims import read_claims
from benchmarks.gpu.page import NO_MEANING, claims_table, steps_table, write_page
from benchmarks.gpu.planner import run_steps
from benchmarks.gpu.record import Record
from benchmarks.gpu.step import Step, run_process
from benchmarks.gpu.steps import REHEARSAL, full_steps, rehearsal_steps
from convnext_dense.config.machine import check_folder
from convnext_dense.errors import RunError, UsageError, exit_on_usage_error

# Time to import PyTorch, and to find the GPU.
MACHINE = Step('machine', '', 0.3, ('-m', 'benchmarks.gpu.machine', '{out}'))
MACHINE_SECONDS = 300
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(
        prog='benchmarks.gpu', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=_positive, default=10, help='the time there is for all; by default 10')
    parser.add_argument('--out', type=Path, help='a folder for all that is written')
    parser.add_argument('--resume', action='store_true', help='go on with what is in the folder: skip what is done')
    parser.add_argument('--only', nargs='+', metavar='STEP', help="names of steps, or patterns such as 'backbone-t-*'")
    parser.add_argument('--list', action='store_true', help='show the steps, and run nothing')
    parser.add_argument('--rehearse', action='store_true', help='tiny sizes on the CPU, as without a GPU')
    args = parser.parse_args(arguments)
    with exit_on_usage_error(vars(args)):
        if args.list:
            _show(_choose(rehearsal_steps() if args.rehearse else full_steps(), args.only))
            return
        if args.out is None:
            raise UsageError('out: give a folder for what is written.')
        check_folder(args.out, 'out')
        signal.signal(signal.SIGTERM, _stop)
        sys.exit(measure(args.out, args.minutes, args.resume, args.only, args.rehearse))


def measure(out: Path, minutes: float, resume: bool, only: Sequence[str] | None, rehearse: bool) -> int:
    """Run the steps, and return the exit code: 0 also if steps failed, 130 if this process was asked to stop.

    Args:
        out: A folder for all that is written.
        minutes: The time for all.
        resume: Whether to go on with what is in the folder.
        only: Patterns of the names of steps.
        rehearse: Whether to use the CPU.

    Raises:
        UsageError: If an argument is not allowed.
        RunError: If PyTorch cannot be imported.
    """
    deadline = time.monotonic() + 60 * minutes
    # A name that is wrong is said before PyTorch is imported.
    _choose([*full_steps(), *rehearsal_steps()], only)
    out.mkdir(parents=True, exist_ok=True)
    machine = _describe_machine(rehearse)
    if machine['type'] == 'cpu' and not rehearse:
        print('There is no GPU here: this is a rehearsal.')
        rehearse = True
    steps = rehearsal_steps() if rehearse else full_steps()
    record = Record(out, machine, rehearse, resume)

    def report(text: str) -> None:
        print(text, flush=True)
        write_page(record, steps)
        name = text.partition(':')[0]
        if claims := read_claims(record.steps.get(name, {})):
            print(claims_table(claims), flush=True)

    code = 0
    try:
        run_steps(_choose(steps, only), record, deadline, report)
    except KeyboardInterrupt:
        print('Stopped: go on by --resume.', flush=True)
        code = INTERRUPTED
    write_page(record, steps)
    if rehearse:
        print(NO_MEANING)
    print(f'\n{steps_table(record, steps)}\n\n{record.page}\n{record.file}\n{record.log}', flush=True)
    return code


def _describe_machine(without_gpu: bool) -> dict:
    step = replace(MACHINE, environment=REHEARSAL) if without_gpu else MACHINE
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, 'machine.json'), Path(folder, 'log')
        ended = run_process(step, out, log, MACHINE_SECONDS)
        if ended.code or not out.is_file():
            lines = log.read_text(errors='replace').splitlines() or [f'exit code {ended.code}']
            raise RunError(f'PyTorch, or this package, cannot be imported here: {lines[-1]}')
        return json.loads(out.read_text())


def _choose(steps: Sequence[Step], only: Sequence[str] | None) -> list[Step]:
    if only is None:
        return list(steps)
    for pattern in only:
        if not fnmatch.filter([step.name for step in steps], pattern):
            raise UsageError(f'only: there is no step {pattern}; --list shows them.')
    return [step for step in steps if any(fnmatch.fnmatch(step.name, pattern) for pattern in only)]


def _show(steps: Sequence[Step]) -> None:
    total = 0.0
    for step in steps:
        total += step.minutes
        print(f'{step.name:32} {step.minutes:4.1f} minutes, {total:5.1f} in all\n    {step.line}')


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'it must be a positive number; got {text!r}')
    return value


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
