"""Time training steps of several configs on the same batches, in turn: what do their heads cost on one backbone?

The batches pass the first config's training pipeline, and each step is a whole one, optimizer and hooks included. Peak
memory is what a run keeps between two steps plus what a step adds.
"""

import argparse
import copy
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.cases import run_benchmark
from benchmarks.measure import added_memory, ratio_in_turn, summarize, time_in_turn
from benchmarks.training.compare import prepare_config
from benchmarks.training.measured_run import MeasuredRun
from benchmarks.training.synthetic_data import take_batches
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import load_config
from convnext_dense.reports.table import format_table

WARM_UP = 1


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of the configs.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', help='the others are compared with the first')
    parser.add_argument('--batch-size', type=at_least(1), default=2)
    parser.add_argument('--scale', type=float, help="factor of the images' sides, for a small machine")
    parser.add_argument('--rounds', type=at_least(1), default=10, help='timed steps of each')
    return run_benchmark(parser, arguments, _run, _table)


def _run(args: argparse.Namespace) -> Iterator[dict]:
    with tempfile.TemporaryDirectory() as folder:
        configs = [load_config(name, f'{folder}/run', pretrained=False) for name in args.configs]
        names = [Path(cfg.filename).stem for cfg in configs]
        configs[0] = prepare_config(configs[0], f'{folder}/data', args.batch_size, args.scale)
        for cfg in configs[1:]:
            cfg.train_dataloader = copy.deepcopy(configs[0].train_dataloader)
        runs = {name: MeasuredRun(cfg, f'{folder}/{name}', name) for name, cfg in zip(names, configs, strict=True)}
        batches = take_batches(runs[names[0]].loader, WARM_UP + args.rounds)
        for run in runs.values():
            run.start(batches)
        device = runs[names[0]].device
        seconds = time_in_turn({name: run.step for name, run in runs.items()}, device, args.rounds, WARM_UP)
        memory = {
            name: run.allocated_bytes() + added_memory(lambda run=run: run.train_on(batches[0]), device)
            for name, run in runs.items()
        }
    yield dict(
        batch_size=args.batch_size,
        scale=args.scale,
        rounds=args.rounds,
        image_shape=list(batches[0]['inputs'][0].shape),
        steps={name: summarize(times) for name, times in seconds.items()},
        parameters={name: sum(p.numel() for p in run.model.parameters()) for name, run in runs.items()},
        peak_memory=memory,
        ratio={name: ratio_in_turn(seconds[names[0]], seconds[name]) for name in names[1:]},
    )


def _table(case: dict) -> str:
    rows = [
        [
            name,
            f'{figures["median"] * 1e3:.0f}',
            f'{case["peak_memory"][name] / 2**30:.2f}',
            f'{case["parameters"][name] / 1e6:.1f}',
            f'{case["ratio"][name]:.2f}' if name in case['ratio'] else '1',
        ]
        for name, figures in case['steps'].items()
    ]
    header = ['', 'step, ms', 'peak memory, GiB', 'parameters, M', 'times as long']
    return f'{case["batch_size"]} images a step, the first of {case["image_shape"]}\n{format_table(rows, header)}'


if __name__ == '__main__':
    main()
