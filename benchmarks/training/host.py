"""Count what the host starts in a training step, and time the host alone, by OpenMMLab's way and by ours.

A GPU waits where the host is slower than it. The operators of a whole step, losses and optimizer included, are counted
on a CPU at a quarter of the recipe's size, without those that only look at memory in another way; most start one kernel
each on a GPU. The optimizer updates many weights with one operator (`foreach`), as it does by default on a GPU. The
host's time is that of the backbone's forward pass in training, with a few channels and an image of 32x32, so that
hardly anything is left to compute; the ways take turns on one thread. PyTorch's meta device would be no measure of it:
its operators are Python. The backward pass is C++ that all ways share. With `--speed`, ours has the switches that act
on this.
"""

import argparse
import functools
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.cases import run_benchmark
from benchmarks.measure import ratio_in_turn, time_in_turn
from benchmarks.training.compare import prepare_config
from benchmarks.training.openmmlab import openmmlab_config
from benchmarks.training.waits import SCALE, make_parser, watch_step
from convnext_dense.backbones import ConvNeXt
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import enable_speed, load_config
from convnext_dense.reports.table import format_table

OURS, THEIRS, SPEED = 'ours', 'OpenMMLab', 'ours, --speed'
SWITCHES = ('channels_last', 'fused_adamw', 'waits', 'data')
# So little to compute that the host's time is what remains.
NARROW, IMAGE = (8, 16, 32, 64), (32, 32)


class Launches(TorchDispatchMode):
    """Counts the operators that compute something.

    Example:
        >>> with Launches() as launches:
        ...     _ = torch.ones(2, 3).t() + 1
        >>> sorted(launches.names)
        ['aten::add', 'aten::ones']
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> object:  # noqa: ANN401
        """Run an operator, and count it unless its result is a view."""
        if not func.is_view:
            self.names[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each config.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = make_parser(__doc__)
    parser.add_argument('--rounds', type=at_least(1), default=20, help='how often each way is timed')
    return run_benchmark(parser, arguments, _run, _table)


def _run(args: argparse.Namespace) -> Iterator[dict]:
    torch.set_num_threads(1)
    for name in args.configs:
        with tempfile.TemporaryDirectory() as folder:
            cfg = load_config(name, f'{folder}/run', pretrained=False)
            configs = _ways(prepare_config(cfg, f'{folder}/data', args.batch_size, SCALE))
            launches = {way: _count(config, f'{folder}/run', way) for way, config in configs.items()}
        backbones = {way: _forward(configs[way]) for way in (OURS, THEIRS)}
        seconds = time_in_turn(backbones, torch.device('cpu'), args.rounds)
        yield dict(
            config=name,
            batch_size=args.batch_size,
            launches={way: names.total() for way, names in launches.items()},
            most={way: dict(names.most_common(10)) for way, names in launches.items()},
            backbone_milliseconds={way: 1e3 * statistics.median(times) for way, times in seconds.items()},
            ratio=ratio_in_turn(seconds[OURS], seconds[THEIRS]),
        )


def _ways(ours: Config) -> dict[str, Config]:
    configs = {THEIRS: openmmlab_config(ours), OURS: ours, SPEED: Config(ours.to_dict())}
    enable_speed(configs[SPEED], SWITCHES)
    for way in (THEIRS, OURS):
        configs[way].optim_wrapper.optimizer.foreach = True
    return configs


def _count(cfg: Config, folder: str, way: str) -> Counter[str]:
    launches = Launches()
    watch_step(cfg, folder, way, launches)
    return launches.names


def _forward(cfg: Config) -> Callable[[], None]:
    backbone = cfg.model.backbone
    arch = backbone.arch
    depths = arch['depths'] if isinstance(arch, dict) else ConvNeXt.arch_settings[arch].depths
    model = MODELS.build({**backbone, 'arch': dict(depths=depths, channels=NARROW), 'init_cfg': None})
    # mmpretrain's returns nothing.
    model.train()
    return functools.partial(model, torch.rand(1, 3, *IMAGE))


def _table(case: dict) -> str:
    milliseconds = case['backbone_milliseconds']
    times = {way: f'{time:.1f}' for way, time in milliseconds.items()}
    rows = [[way, str(count), times.get(way, '')] for way, count in case['launches'].items()]
    return (
        f'{case["config"]}, {case["batch_size"]} images a step\n'
        + format_table(rows, ['', 'operators a step', 'backbone forward, ms'])
        + f"\nthe backbone's time on the host: {case['ratio']:.2f} times as fast"
    )


if __name__ == '__main__':
    main()
