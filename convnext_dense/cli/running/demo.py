"""Make demo data, train a detector and a segmenter on it, and score both."""

import argparse
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from convnext_dense.cli.arguments import at_least, check_work_dir, not_empty
from convnext_dense.errors import UsageError

if TYPE_CHECKING:
    from convnext_dense.apis.demo import Step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        '--work-dir', type=not_empty, help='folder of logs, checkpoints and drawn predictions (default: work_dirs/demo)'
    )
    parser.add_argument('--steps', type=at_least(1), metavar='N', help='train N steps only, to try the installation')
    parser.add_argument('--only-data', action='store_true', help='make the data, and train nothing')
    data = parser.add_argument_group('with --only-data')
    data.add_argument('--out', type=not_empty, help='folder to write to (default: data/demo)')
    data.add_argument('--num-train', type=at_least(1), metavar='N', help='training images')
    data.add_argument('--num-val', type=at_least(1), metavar='N', help='validation images')
    data.add_argument('--size', type=at_least(1), metavar='PIXELS', help='image side')
    data.add_argument('--seed', type=at_least(0))


def run(args: argparse.Namespace) -> None:
    """Make the data, or run the whole demo and print its scores."""
    given = {name: getattr(args, name) for name in ('num_train', 'num_val', 'size', 'seed')}
    given = {name: value for name, value in given.items() if value is not None}
    if args.only_data:
        if args.steps is not None or args.work_dir:
            raise UsageError(f'{"work_dir" if args.work_dir else "steps"}: with only_data, nothing is trained.')
        _make_data(args.out or 'data/demo', given)
        return
    if given or args.out:
        raise UsageError(f'{next(iter(given), "out")}: it changes the data that only_data makes.')
    work_dir = args.work_dir or 'work_dirs/demo'
    check_work_dir(work_dir)
    from convnext_dense.apis import run_demo
    from convnext_dense.apis.demo import DEMO_TASKS
    from convnext_dense.reports.table import format_table

    with _display() as on_step:
        summary = run_demo(work_dir, args.steps, on_step)
    rows = [
        [task.name, name, f'{summary[name]:.3f}', f'{summary["seconds"][task.name]:.0f} s']
        for task in DEMO_TASKS
        for name in task.metrics
    ]
    print(f'\n{format_table(rows, ["model", "score", "value", "trained in"])}')
    print(f'\nDevice: {summary["device"]}. Summary: {work_dir}/summary.json.')
    print(f'Drawn predictions: {work_dir}/*/predictions/.')


def _make_data(out: str, spec: dict[str, int]) -> None:
    from convnext_dense.datasets.demo import DemoSpec, make_demo_data

    try:
        written = make_demo_data(out, DemoSpec(**spec))
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        reason = f'{out} cannot be written: {error.strerror}.' if error.strerror else error
        raise UsageError(f'out: {reason}') from error
    print(f'{out}: {"written" if written else "is there already"}')


@contextmanager
def _display() -> Generator[Callable[['Step'], None]]:
    """Show the demo's steps: bars on a terminal, lines elsewhere."""
    if not sys.stdout.isatty():
        yield _print_step
        return
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    bars: dict[str, TaskID] = {}
    columns = TextColumn('{task.description:<16}'), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, TextColumn('[dim]{task.fields[line]}')) as progress:

        def show(step: 'Step') -> None:
            if step.stage not in bars:
                bars[step.stage] = progress.add_task(step.stage, total=1, line=f'log: {step.log}')
            line = step.line.partition('  ')[2].strip() or f'log: {step.log}'
            progress.update(bars[step.stage], completed=step.fraction, line=line[:60])

        yield show


def _print_step(step: 'Step') -> None:
    if step.line:
        print(f'{step.stage}: {step.line[:150]}', flush=True)
    elif step.fraction == 0:
        print(f'{step.stage} (log: {step.log})', flush=True)
