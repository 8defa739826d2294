"""Time an epoch of a recipe in which the model's step is a sleep, with the switch `data` and without, in turn.

The sleep is a fast GPU's step: what is left is what data loading and the main process cost a run.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from benchmarks.cases import run_benchmark
from benchmarks.data.pipelines import CONFIGS, OURS, THEIRS, WORKERS
from benchmarks.measure import ratio_in_turn
from benchmarks.training.synthetic_data import use_synthetic_data
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import enable_speed, load_config
from convnext_dense.config.device import fit_to_device
from convnext_dense.reports.table import format_table


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each case.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', nargs='+', choices=CONFIGS, help='by default all')
    parser.add_argument('--images', type=at_least(1), default=2000, help='how many are generated')
    parser.add_argument('--rounds', type=at_least(1), default=5, help='how many epochs each way has')
    parser.add_argument('--step-ms', type=at_least(1), default=20, help='how long the sleep is')
    return run_benchmark(parser, arguments, _run, _table)


def _run(args: argparse.Namespace) -> Iterator[dict]:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    for name in args.cases or CONFIGS:
        # What COCO's API prints is no figure.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            figures = _measure(name, Path(folder), args)
        yield figures


def _measure(name: str, folder: Path, args: argparse.Namespace) -> dict:
    cfg = load_config(CONFIGS[name], str(folder / 'run'))
    use_synthetic_data(cfg, folder / 'data', args.images)
    fit_to_device(cfg)
    configs = {OURS: Config(cfg.to_dict()), THEIRS: cfg}
    enable_speed(configs[OURS], ['data'])
    seconds: dict[str, list[float]] = {way: [] for way in configs}
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
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
