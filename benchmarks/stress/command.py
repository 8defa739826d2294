"""Find out what a training survives: SIGKILL at random moments, and 2,000 steps with crashes and evaluations.

Each training is the command itself, of a tiny detector or segmenter, in a process that is forked from this one, which
has imported everything: of a start, Python's imports are missing, and the description of the machine. Linux only.
"""

import argparse
import gc
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.cases import run_benchmark
from benchmarks.stress.kills import stress
from benchmarks.stress.soak import soak
from benchmarks.stress.tiny_runs import TinyRun
from convnext_dense.errors import UsageError
from convnext_dense.reports.table import format_table

TASKS = ('detector', 'segmenter')
STEPS_OF_A_KILLED_RUN = 24
# What a config's types import.
IMPORTED = [
    'convnext_dense.apis.training',
    'convnext_dense.evaluation.faster_coco_metric',
    *(
        f'{library}.{part}'
        for library in ('mmdet', 'mmseg')
        for part in ('models', 'datasets', 'engine', 'evaluation', 'visualization')
    ),
]
# What the JSON file has, and the table not.
DETAILS = ('task', 'each', 'results')


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of each task."""
    if args.kills < 0 or args.soak < 0 or not args.kills + args.soak:
        raise UsageError('kills: give a positive number of kills, or of steps to soak.')
    # A process that has threads cannot be forked safely.
    torch.set_num_threads(1)
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    for task in args.tasks:
        with tempfile.TemporaryDirectory() as folder:
            if args.kills:
                yield stress(TinyRun(task, Path(folder), STEPS_OF_A_KILLED_RUN, 4, 8), args.kills, args.seed, print)
        with tempfile.TemporaryDirectory() as folder:
            if args.soak:
                yield soak(TinyRun(task, Path(folder), args.soak, 25, 50), args.seed, print)


def table(figures: dict) -> str:
    """Return the figures of a task as text."""
    rows = [[name.replace('_', ' '), str(value)] for name, value in figures.items() if name not in DETAILS]
    return format_table(rows, [figures['task'], ''])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=TASKS, help='by default both')
    parser.add_argument('--kills', type=int, default=50, help='kills of each task, by default 50')
    parser.add_argument('--soak', type=int, default=0, metavar='STEPS', help='steps of a long run, by default none')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    try:
        run_benchmark(parser, arguments, run, table)
    finally:
        # Or libraries complain of what is left when Python ends.
        gc.unfreeze()


if __name__ == '__main__':
    main()
