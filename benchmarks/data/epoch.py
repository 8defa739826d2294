"""Time an epoch of a recipe in which the model's step is a sleep, with the switch `data` and without, in turn.

The sleep is a fast GPU's step: what is left is what data loading and the main process cost a run.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from benchmarks.data.generated import CONFIGS, OURS, THEIRS, make_parser, paired_configs, run_cases
from benchmarks.data.pipelines import WORKERS
from benchmarks.measure import ratio_in_turn
from convnext_dense.cli.arguments import at_least
from convnext_dense.reports.table import format_table


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each case.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = make_parser(__doc__, CONFIGS, 2000)
    parser.add_argument('--rounds', type=at_least(1), default=5, help='how many epochs each way has')
    parser.add_argument('--step-ms', type=at_least(1), default=20, help='how long the sleep is')
    return run_cases(parser, arguments, _measure, _table)


def _measure(name: str, folder: Path, args: argparse.Namespace) -> dict:
    configs = paired_configs(CONFIGS[name], folder, args.images)
    seconds: dict[str, list[float]] = {way: [] for way in configs}
    with DefaultScope.overwrite_default_scope(configs[THEIRS].default_scope):
        for _ in range(args.rounds):
            for way, config in configs.items():
                seconds[way].append(_epoch_seconds(config, args.step_ms / 1e3))
    return dict(
        case=name,
        config=CONFIGS[name],
        images=args.images,
        step_ms=args.step_ms,
        workers=WORKERS,
        epoch_seconds={way: statistics.median(values) for way, values in seconds.items()},
        ratio=ratio_in_turn(seconds[OURS], seconds[THEIRS]),
    )


def _epoch_seconds(config: Config, step: float) -> float:
    """Return the seconds of an epoch, the start of its workers included."""
    loader_cfg = config.train_dataloader
    # An epoch of iterations is as long as one of epochs.
    loader_cfg.update(num_workers=WORKERS, persistent_workers=False, sampler=dict(type='DefaultSampler', shuffle=True))
    loader = Runner.build_dataloader(loader_cfg, seed=0)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    start = time.perf_counter()
    for batch in loader:
        preprocessor(batch, True)
        time.sleep(step)
    return time.perf_counter() - start


def _table(case: dict) -> str:
    rows = [[way, f'{case["epoch_seconds"][way]:.1f}'] for way in (OURS, THEIRS)]
    return (
        f'{case["case"]}, an epoch of {case["images"]} images, {case["step_ms"]} ms a step, {case["workers"]} workers\n'
        f'{format_table(rows, ["way", "s"])}\n{case["ratio"]:.2f} times as fast'
    )


if __name__ == '__main__':
    main()
