"""Time whole training steps of a config against the same model as OpenMMLab runs it.

OpenMMLab's way is mmpretrain's ConvNeXt in fp16 mixed precision (float32 on a CPU), contiguous memory, PyTorch's
default AdamW, mmdet's or mmseg's constructor for learning-rate decay, and each library's default for cuDNN's autotuning
(on in mmseg, off in mmdet). Both contenders start from the same weights, which the loss of the first batch shows, and
take their steps in turn on the same batches.

The batches are generated before anything is timed: images of COCO's or ADE20K's sizes pass the config's own training
pipeline and samplers, so that crops, scales and padding are the recipe's. The first five are not timed. A shape that
was not among them is timed when it is first seen, with everything that a run does once per shape; the table says how
many there were, and p99 shows their cost.

Peak memory is what a run keeps between two steps (weights, the optimizer's state, EMA's model, a prefetched batch) plus
the most that a timed step adds; on a CPU, what a step on the largest batch adds.
"""

import argparse
import copy
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from benchmarks.cases import run_benchmark
from benchmarks.measure import WARM_UP, added_memory, default_device, ratio_in_turn, summarize, time_call, time_in_turn
from benchmarks.training.measured_run import MeasuredRun
from benchmarks.training.openmmlab import copy_weights, mmcv_ops, openmmlab_config
from benchmarks.training.synthetic_data import padded_shape, scale_images, take_batches, use_synthetic_data
from convnext_dense.checks import RunPlan
from convnext_dense.checks.check import report
from convnext_dense.checks.files import find_in_files
from convnext_dense.cli.arguments import add_config, add_speed_argument, at_least, parse_cfg_options
from convnext_dense.config import enable_speed, load_config
from convnext_dense.config.speed.switches import SWITCHES
from convnext_dense.errors import UsageError
from convnext_dense.reports.table import format_table

OURS, THEIRS = 'ours', 'OpenMMLab'
# With the real dataloader, each contender takes this many steps before the other's turn.
BLOCK = 20
# With fewer steps, p99 is hardly more than the slowest one. On a CPU more would take hours.
ROUNDS = {'cuda': 200, 'cpu': 50}
NUM_IMAGES = 64
# How far the first losses may differ, relatively, in float32 and in half precision.
LOSS_TOLERANCE, HALF_LOSS_TOLERANCE = 1e-3, 3e-2


def prepare_config(
    cfg: Config,
    folder: str | Path,
    batch_size: int | None = None,
    scale: float | None = None,
    with_data: bool = False,
) -> Config:
    """Return a copy of the config for the training benchmarks.

    Args:
        cfg: The config.
        folder: An empty folder for synthetic data.
        batch_size: Images per step. Defaults to the config's.
        scale: Factor of the images' height and width, for a small machine.
        with_data: Whether to read the config's own data instead of synthetic data.

    Raises:
        UsageError: If the config does not train, an option is not allowed, or the data is missing.
    """
    cfg = copy.deepcopy(cfg)
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not cfg.get(key):
            raise UsageError(f'config: it has no {key}, so it does not train.')
    if not cfg.train_dataloader.get('dataset'):
        raise UsageError('train_dataloader: the config has no dataset to train on.')
    if batch_size is not None:
        if batch_size < 1:
            raise UsageError(f'batch_size: must be at least 1; got {batch_size}.')
        cfg.train_dataloader.batch_size = batch_size
    if scale is not None:
        scale_images(cfg, scale)
    if with_data:
        report(find_in_files(RunPlan(cfg, ('train',))))
    else:
        # One process prepares the batches, before any step.
        cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
        cfg.train_dataloader.pop('prefetch_factor', None)
        use_synthetic_data(cfg, folder, count=max(NUM_IMAGES, 2 * cfg.train_dataloader.batch_size))
    return cfg


def benchmark_training(
    cfg: Config, switches: Sequence[str] = (), rounds: int | None = None, with_data: bool = False, **options: object
) -> dict:
    """Time training steps of a config, and of the same model as OpenMMLab runs it, in turn.

    Args:
        cfg: The config.
        switches: Names of `SWITCHES` to train ours with.
        rounds: Number of timed steps of each. Defaults to `ROUNDS`.
        with_data: Whether to read the config's data, and to include the wait for it.
        **options: As in `prepare_config`.

    Returns:
        The figures that `table` prints.

    Raises:
        UsageError: If the config cannot be compared, or its data is missing.
    """
    rounds = ROUNDS[default_device().type] if rounds is None else rounds
    if rounds < 1:
        raise UsageError(f'rounds: must be at least 1; got {rounds}.')
    with tempfile.TemporaryDirectory() as folder:
        ours = prepare_config(cfg, Path(folder, 'data'), with_data=with_data, **options)
        configs = {OURS: ours, THEIRS: openmmlab_config(ours)}
        enable_speed(ours, switches)
        runs = {name: MeasuredRun(config, str(Path(folder, name)), name) for name, config in configs.items()}
        copy_weights(runs[OURS].model, runs[THEIRS].model)
        figures = dict(config=Path(cfg.filename).stem if cfg.filename else None, switches=list(switches))
        return figures | _compare(runs, rounds, with_data)


def _compare(runs: dict[str, MeasuredRun], rounds: int, with_data: bool) -> dict:
    ours = runs[OURS]
    batch_size = ours.cfg.train_dataloader.batch_size
    batches = None if with_data else take_batches(ours.loader, WARM_UP + rounds)
    for run in runs.values():
        run.start(batches)
    # With real data, this is the loop's own next batch: mmengine's infinite sampler cannot be restarted.
    batches = batches or [ours.next_batch()]
    losses = {name: run.deterministic_loss(batches[0]) for name, run in runs.items()}
    meters = {name: _Meter(run) for name, run in runs.items()}
    steps = {name: meter.step for name, meter in meters.items()}
    seconds = _time_in_blocks(steps, runs, rounds) if with_data else time_in_turn(steps, ours.device, rounds, WARM_UP)
    largest = max(batches, key=lambda batch: math.prod(padded_shape(batch)))
    contenders = {
        name: dict(
            images_per_second=batch_size * rounds / sum(seconds[name]),
            **summarize(seconds[name]),
            peak_memory=meters[name].peak(largest),
            settings=run.settings(),
            seconds=seconds[name],
        )
        for name, run in runs.items()
    }
    half = any(contender['settings']['precision'] != 'float32' for contender in contenders.values())
    agree = math.isclose(*losses.values(), rel_tol=HALF_LOSS_TOLERANCE if half else LOSS_TOLERANCE)
    ratio = {key: contenders[OURS][key] / contenders[THEIRS][key] for key in ('images_per_second', 'peak_memory')}
    return dict(
        batch_size=batch_size,
        rounds=rounds,
        with_data=with_data,
        mmcv_ops=mmcv_ops(),
        shapes=None if with_data else _count_shapes(batches, ours.cfg),
        first_losses=dict(losses, agree=agree),
        contenders=contenders,
        ratio=dict(ratio, step_in_turn=ratio_in_turn(seconds[OURS], seconds[THEIRS])),
    )


class _Meter:
    """Steps a run, and keeps the most memory that a step after the warm-up added."""

    def __init__(self, run: MeasuredRun) -> None:
        self.run = run
        self.added = 0
        self.steps = 0

    def step(self) -> None:
        device = self.run.device
        self.steps += 1
        if device.type != 'cuda':
            self.run.step()
            return
        # The allocator's bookkeeping on the host: neither call waits for the GPU.
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        self.run.step()
        # The first steps add what stays, such as the optimizer's state. `allocated_bytes` counts that.
        if self.steps > WARM_UP:
            self.added = max(self.added, torch.cuda.max_memory_allocated(device) - before)

    def peak(self, batch: dict) -> int:
        """Return the bytes that the run keeps between steps, plus what a step adds at its peak.

        On a CPU, this records the allocations of one more step, on `batch`.
        """
        added = self.added or added_memory(lambda: self.run.train_on(batch), self.run.device)
        return self.run.allocated_bytes() + added


def _time_in_blocks(
    steps: dict[str, Callable[[], object]], runs: dict[str, MeasuredRun], rounds: int
) -> dict[str, list[float]]:
    """Time a block of one run's steps after a block of the other's.

    Step by step, a run's workers would load data during the other's steps too. Each block begins with untimed steps,
    which use up what the workers have loaded before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for done in range(0, rounds, BLOCK):
        for name, step in steps.items():
            loader = runs[name].cfg.train_dataloader
            for _ in range(WARM_UP + loader.get('num_workers', 0) * loader.get('prefetch_factor', 2)):
                step()
            seconds[name] += [time_call(step, runs[name].device) for _ in range(min(BLOCK, rounds - done))]
    return seconds


def _count_shapes(batches: Sequence[dict], cfg: Config) -> dict[str, int]:
    """Count the distinct shapes of the warm-up, of the timed steps, and those that were first seen when timed."""
    divisor = (cfg.model.get('data_preprocessor') or {}).get('pad_size_divisor') or 1
    shapes = [padded_shape(batch, divisor) for batch in batches]
    warm_up, timed = set(shapes[:WARM_UP]), set(shapes[WARM_UP:])
    return dict(warm_up=len(warm_up), timed=len(timed), first_seen_when_timed=len(timed - warm_up))


def table(figures: dict) -> str:
    """Return the figures of `benchmark_training` as text."""
    rows = [
        [
            name,
            f'{contender["images_per_second"]:.2f}',
            f'{contender["median"] * 1e3:.1f}',
            f'{contender["p99"] * 1e3:.1f}',
            f'{contender["p99"] / contender["median"]:.2f}',
            f'{contender["peak_memory"] / 2**30:.2f}',
            contender['settings']['precision'],
        ]
        for name, contender in figures['contenders'].items()
    ]
    ratio, losses, shapes = figures['ratio'], figures['first_losses'], figures['shapes']
    lines = [
        f'{figures["config"]}, {figures["batch_size"]} images a step, {figures["rounds"]} steps each; '
        f'{OURS}: {", ".join(figures["switches"]) or "as the config is"}',
        format_table(rows, ['', 'images/s', 'p50 ms', 'p99 ms', 'p99/p50', 'peak GiB', 'precision']),
        f'{OURS} / {THEIRS}: {ratio["images_per_second"]:.3f} in images/s ({ratio["step_in_turn"]:.3f} in the median '
        f'of the steps taken in turn), {ratio["peak_memory"]:.3f} in peak memory',
    ]
    if shapes:
        lines.append(
            f'shapes of batches: {shapes["warm_up"]} in the warm-up, {shapes["timed"]} timed, of which '
            f'{shapes["first_seen_when_timed"]} were first seen then'
        )
    lines.append(f'both run mmcv.ops by {figures["mmcv_ops"]}')
    lines.append(
        f'loss of the first batch: {losses[OURS]:.5f} and {losses[THEIRS]:.5f}, '
        + ('which agree' if losses['agree'] else 'WHICH DIFFER: these are not the same model')
    )
    return '\n'.join(lines)


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both training benchmarks take: the config, ``--speed``, and the batches to train on."""
    add_config(parser)
    add_speed_argument(parser, list(SWITCHES))
    parser.add_argument('--batch-size', type=at_least(1), help="images per step; by default the config's")
    parser.add_argument('--scale', type=float, help='resize the images, such as by 0.5 for a small machine')
    parser.add_argument('--with-data', action='store_true', help="read the config's data, and wait for it")


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of the config that the command line names."""
    cfg = load_config(args.config, cfg_options=parse_cfg_options(args.cfg_options))
    options = dict(batch_size=args.batch_size, scale=args.scale, with_data=args.with_data)
    yield benchmark_training(cfg, args.speed, args.rounds, **options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line. Exit with 1 if the first losses differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_batch_arguments(parser)
    parser.add_argument(
        '--rounds',
        type=at_least(1),
        help=f'timed steps of each; by default {ROUNDS["cuda"]} on a GPU, {ROUNDS["cpu"]} on a CPU',
    )
    (figures,) = run_benchmark(parser, arguments, run, table)
    if not figures['first_losses']['agree']:
        sys.exit(1)


if __name__ == '__main__':
    main()
