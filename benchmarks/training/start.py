"""Time a run's start, from the command to its first step and to its first validation, in turn for several trees.

    python -m benchmarks.training.start CONFIG --tree BEFORE --tree . --train --iters 1

Each tree is a checkout of this repository; its package runs in a new process. The processor's seconds are the main
process's, and hardly depend on what else the machine does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.cases import run_benchmark
from convnext_dense.errors import UsageError
from convnext_dense.reports.table import format_table

# What the measured process runs. It ends at the first batch of the first validation.
MARKED_RUN = """
import json, os, resource, sys, time
from convnext_dense.compat import when_imported

began, marks = float(sys.argv[1]), {}

def mark(name):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    marks.setdefault(name, [time.time() - began, usage.ru_utime + usage.ru_stime])

def watch_steps():
    from mmengine.model.base_model.base_model import BaseModel
    train_step = BaseModel.train_step

    def marked_train_step(self, *args, **kwargs):
        mark('first step')
        return train_step(self, *args, **kwargs)

    def val_step(self, *args, **kwargs):
        mark('first validation')
        print('MARKS', json.dumps(marks), flush=True)
        os._exit(0)

    BaseModel.train_step, BaseModel.val_step = marked_train_step, val_step

when_imported('mmengine.model.base_model.base_model', watch_steps)
from convnext_dense.cli.main import main
main(['train', *sys.argv[2:]])
"""
MARKS = ('first step', 'first validation')


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of a config.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='as in convnext-dense train')
    parser.add_argument('--tree', action='append', required=True, help='a checkout of this repository; may be repeated')
    parser.add_argument('--rounds', type=int, default=5, help='how many times each tree runs')
    parser.add_argument(
        '--train', nargs=argparse.REMAINDER, default=[], help='all that follows goes to convnext-dense train'
    )
    return run_benchmark(parser, arguments, _run, _table)


def measure_start(tree: str, arguments: Sequence[str]) -> dict[str, list[float]]:
    """Return the seconds at each of `MARKS` of one run: by the clock, and of the processor.

    Args:
        tree: A checkout of this repository.
        arguments: Those of `convnext-dense train`, without a work directory.

    Raises:
        UsageError: If the run ends before its first validation.
    """
    with tempfile.TemporaryDirectory() as work_dir:
        run = subprocess.run(
            [sys.executable, '-c', MARKED_RUN, str(time.time()), *arguments, '--work-dir', work_dir],
            env={**os.environ, 'PYTHONPATH': str(Path(tree).resolve())},
            capture_output=True,
            text=True,
        )
    for line in run.stdout.splitlines():
        if line.startswith('MARKS '):
            return json.loads(line.removeprefix('MARKS '))
    last = (run.stderr.strip() or 'it printed nothing').splitlines()[-1]
    raise UsageError(f'tree: the run in {tree} ended before its first validation: {last}')


def _run(args: argparse.Namespace) -> Iterator[dict]:
    measured: dict[str, list[dict]] = {tree: [] for tree in args.tree}
    for _ in range(args.rounds):
        for tree, runs in measured.items():
            runs.append(measure_start(tree, [args.config, *args.train]))
    figures = {
        tree: {
            mark: dict(
                seconds=statistics.median(run[mark][0] for run in runs),
                processor_seconds=statistics.median(run[mark][1] for run in runs),
            )
            for mark in MARKS
        }
        for tree, runs in measured.items()
    }
    yield dict(case=Path(args.config).stem, train=args.train, rounds=args.rounds, trees=figures)


def _table(case: dict) -> str:
    rows = [
        (tree, *(f'{marks[mark][key]:.2f}' for mark in MARKS for key in ('seconds', 'processor_seconds')))
        for tree, marks in case['trees'].items()
    ]
    header = ('tree', *(f'{mark}, {unit}' for mark in MARKS for unit in ('s', 'processor s')))
    return f'{case["case"]}, {case["rounds"]} rounds\n{format_table(rows, header)}'


if __name__ == '__main__':
    main()
