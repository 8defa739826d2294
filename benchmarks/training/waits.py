"""Count how often a training step waits for the GPU, with the switch `waits` and without.

A step waits where an operator needs values, or how many there are, on the host. Which operators these are is the same
on a CPU, so they are counted there, except for transfers of whole tensors, such as the switch's own one of the losses.
The counters of steps that PyTorch's optimizers read are on the host anyway.
"""

import argparse
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.cases import run_benchmark
from benchmarks.training.compare import prepare_config
from convnext_dense.apis.stepped_run import SteppedRun
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import enable_speed, load_config
from convnext_dense.reports.table import format_table

CONFIGS = (
    'configs/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-1x_coco.py',
    'configs/upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py',
)
WAYS = {'without': [], 'waits': ['waits']}
WAITING = {
    f'aten::{name}'
    for name in ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique2', 'unique_dim', 'unique_consecutive')
}
INDEXING = {'aten::index', 'aten::index_put_'}
OPTIMIZERS = '/torch/optim/'
SCALE = 0.25
ROWS = 12


class Waits(TorchDispatchMode):
    """Counts the operators that wait, by the line that calls them.

    Example:
        >>> with Waits() as waits:
        ...     torch.ones(2).sum().item()
        2.0
        >>> waits.lines.total()
        1
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> object:  # noqa: ANN401
        """Run an operator, and count it if it waits."""
        name = func._schema.name
        if name in WAITING or (name in INDEXING and any(_is_mask(index) for index in args[1])):
            frames = traceback.extract_stack()
            if not any(OPTIMIZERS in frame.filename for frame in frames):
                caller = [frame for frame in frames if '/torch/' not in frame.filename and frame.filename != __file__][
                    -1
                ]
                file = caller.filename.rpartition('site-packages/')[2]
                self.lines[f'{file}:{caller.lineno} {caller.name}'] += 1
        return func(*args, **(kwargs or {}))


def _is_mask(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the counts of each config.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    return run_benchmark(make_parser(__doc__), arguments, _run, _table)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark of two recipes' steps."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--configs', nargs='+', default=list(CONFIGS), help='by default two recipes')
    parser.add_argument('--batch-size', type=at_least(1), default=2)
    return parser


def _run(args: argparse.Namespace) -> Iterator[dict]:
    for name in args.configs:
        counts = {way: _count(name, args.batch_size, switches) for way, switches in WAYS.items()}
        yield dict(
            config=name,
            batch_size=args.batch_size,
            waits={way: lines.total() for way, lines in counts.items()},
            lines={way: dict(lines.most_common()) for way, lines in counts.items()},
        )


def _count(name: str, batch_size: int, switches: list[str]) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        cfg = prepare_config(load_config(name, f'{folder}/run', pretrained=False), f'{folder}/data', batch_size, SCALE)
        enable_speed(cfg, switches)
        waits = Waits()
        watch_step(cfg, f'{folder}/run', '_'.join(['waits', *switches]), waits)
    return waits.lines


def watch_step(cfg: Config, folder: str, name: str, mode: TorchDispatchMode) -> None:
    """Make a config's second training step in a mode. The first one makes the optimizer's state.

    Args:
        cfg: The config, with data that exists.
        folder: For the run's log.
        name: A name that no other run of the process has.
        mode: What sees the step's operators.
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        run = SteppedRun(cfg, folder, name)
        run.start()
        run.step()
        batch = run.next_batch()
        with mode:
            run.train_on(batch)


def _table(case: dict) -> str:
    lines = Counter(case['lines']['without']) | Counter(case['lines']['waits'])
    rows = [[line, *(str(case['lines'][way].get(line, 0)) for way in WAYS)] for line, _ in lines.most_common(ROWS)]
    rows.append(['all', *(str(case['waits'][way]) for way in WAYS)])
    return f'{case["config"]}, {case["batch_size"]} images a step\n' + format_table(rows, ['waits for', *WAYS])


if __name__ == '__main__':
    main()
