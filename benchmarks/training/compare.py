"""Times whole training steps of a config against the same model as OpenMMLab runs it."""

import copy
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from benchmarks.measure import (
    added_memory,
    default_device,
    describe_machine,
    format_table,
    percentile,
    ratio_in_turn,
    time_call,
    time_in_turn,
)
from benchmarks.training.openmmlab import copy_weights, mmcv_ops, openmmlab_config
from benchmarks.training.stepped_run import Trainer
from benchmarks.training.synthetic_data import padded_shape, scale_pictures, take_batches, use_made_up_data
from convnext_dense.config.load import check_data
from convnext_dense.config.speed import enable_speed
from convnext_dense.errors import UsageError

OURS, THEIRS = 'ours', 'OpenMMLab'
# Steps before the timed ones, of batches that are not timed: they allocate memory, choose kernels, and compile.
WARM_UP = 5
# With the real dataloader, each takes so many steps before the other's turn.
BLOCK = 20
# Steps of each by default: with fewer, p99 is little but the slowest one. A CPU would take hours.
ROUNDS_ON_GPU, ROUNDS_ON_CPU = 200, 50
# How far the first losses may differ in float32, and in half precision.
AGREES, AGREES_IN_HALF = 1e-3, 3e-2


def prepare_config(
    cfg: Config, switches: Sequence[str] = (), batch_size: int | None = None, scale: float | None = None
) -> Config:
    """Return the config with what the benchmarks change of it: switches, the batch size, the size of pictures.

    Args:
        cfg: The config; it stays as it is.
        switches: Names of `convnext_dense.config.speed.SWITCHES`.
        batch_size: Pictures a step. Defaults to the config's.
        scale: By how much pictures are shrunk or enlarged.

    Raises:
        UsageError: If the config does not train, or a value is not allowed.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
        >>> prepare_config(cfg, batch_size=1).train_dataloader.batch_size
        1
    """
    cfg = copy.deepcopy(cfg)
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not cfg.get(key):
            raise UsageError(f'the config has no {key}: it does not train.')
    if batch_size is not None:
        if batch_size < 1:
            raise UsageError(f'--batch-size must be at least 1; got {batch_size}.')
        cfg.train_dataloader.batch_size = batch_size
    if scale is not None:
        scale_pictures(cfg, scale)
    if switches:
        enable_speed(cfg, switches)
    return cfg


def benchmark_training(
    cfg: Config,
    switches: Sequence[str] = (),
    batch_size: int | None = None,
    scale: float | None = None,
    rounds: int | None = None,
    with_data: bool = False,
) -> dict:
    """Time training steps of a config and of the same model as OpenMMLab runs it, in turn.

    Args:
        cfg: The config.
        switches: Names of `convnext_dense.config.speed.SWITCHES` to train ours with.
        batch_size: Pictures a step. Defaults to the config's.
        scale: By how much pictures are shrunk or enlarged, for a machine that is small.
        rounds: How many steps of each are timed. Defaults to 200 on a GPU, and 50 on a CPU.
        with_data: Whether the config's data is read, and waited for.

    Returns:
        The figures, as `training_table` prints them and as they are saved.

    Raises:
        UsageError: If the config cannot be compared, or its data is not there.
    """
    if rounds is None:
        rounds = ROUNDS_ON_GPU if default_device().type == 'cuda' else ROUNDS_ON_CPU
    if rounds < 1:
        raise UsageError(f'--rounds must be at least 1; got {rounds}.')
    cfg = prepare_config(cfg, batch_size=batch_size, scale=scale)
    configs = {OURS: prepare_config(cfg, switches), THEIRS: openmmlab_config(cfg)}
    with tempfile.TemporaryDirectory() as folder:
        if with_data:
            check_data(cfg, 'train')
        else:
            for each in configs.values():
                # One process prepares the batches, before any step.
                each.train_dataloader.update(num_workers=0, persistent_workers=False)
                each.train_dataloader.pop('prefetch_factor', None)
            use_made_up_data(configs[OURS], Path(folder, 'data'), count=max(64, 2 * cfg.train_dataloader.batch_size))
            configs[THEIRS].train_dataloader.dataset = copy.deepcopy(configs[OURS].train_dataloader.dataset)
        trainers = {name: Trainer(each, str(Path(folder, name)), name) for name, each in configs.items()}
        return _compare(trainers, cfg, list(switches), rounds, with_data)


def _compare(trainers: dict[str, Trainer], cfg: Config, switches: list[str], rounds: int, with_data: bool) -> dict:
    ours, theirs = trainers[OURS], trainers[THEIRS]
    device = ours.device
    copy_weights(ours.model, theirs.model)
    batches = None if with_data else take_batches(ours.loader, WARM_UP + rounds)
    for trainer in trainers.values():
        trainer.start(batches)
    # With the real data it is the loop's own next one: mmengine's endless sampler cannot be begun a second time.
    batches = batches or [ours.next_batch()]
    losses = {name: trainer.loss_without_chance(batches[0]) for name, trainer in trainers.items()}
    meters = {name: _Meter(trainer) for name, trainer in trainers.items()}
    if with_data:
        seconds = _time_in_blocks({name: meter.step for name, meter in meters.items()}, trainers, rounds)
    else:
        seconds = time_in_turn({name: meter.step for name, meter in meters.items()}, device, rounds, WARM_UP)
    largest = max(batches, key=lambda batch: math.prod(padded_shape(batch)))
    result = dict(
        config=Path(cfg.filename).stem if cfg.filename else None,
        switches=switches,
        batch_size=cfg.train_dataloader.batch_size,
        rounds=rounds,
        with_data=with_data,
        machine=describe_machine(device, 'mmpretrain'),
        mmcv_ops=mmcv_ops(),
        shapes=None if with_data else _shapes(batches, cfg),
        first_losses=dict(losses, agree=_agree(losses, [each.settings() for each in trainers.values()])),
        contenders={
            name: dict(
                _figures(seconds[name], cfg.train_dataloader.batch_size),
                peak_memory=meters[name].peak(largest),
                settings=trainer.settings(),
                seconds=seconds[name],
            )
            for name, trainer in trainers.items()
        },
    )
    own, other = (result['contenders'][name] for name in (OURS, THEIRS))
    result['ratio'] = dict(
        images_per_second=own['images_per_second'] / other['images_per_second'],
        step_in_turn=ratio_in_turn(seconds[OURS], seconds[THEIRS]),
        peak_memory=own['peak_memory'] / other['peak_memory'],
    )
    return result


class _Meter:
    """Steps a trainer, and keeps the most memory that a step after warming up has added to what lay there before."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.added = 0
        self.steps = 0

    def step(self) -> None:
        device = self.trainer.device
        self.steps += 1
        if device.type != 'cuda':
            self.trainer.step()
            return
        # Both calls are the allocator's book-keeping on the host; neither waits for the GPU.
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        self.trainer.step()
        if self.steps > WARM_UP:
            # What the first steps add to stay, such as the optimizer's state, is counted as held.
            self.added = max(self.added, torch.cuda.max_memory_allocated(device) - before)

    def peak(self, batch: dict) -> int:
        """Return the bytes that the trainer holds between its steps, and what a step adds at its peak.

        A CPU's allocations are recorded in one step more, of `batch`.
        """
        if not self.added:
            self.added = added_memory(lambda: self.trainer.train_on(batch), self.trainer.device)
        return self.trainer.held_bytes() + self.added


def _time_in_blocks(
    steps: dict[str, Callable[[], object]], trainers: dict[str, Trainer], rounds: int
) -> dict[str, list[float]]:
    """Time steps a block of one after a block of the other.

    Step by step, each one's workers would load data through the other's step too. A block begins with untimed steps,
    which use up what the workers had loaded before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    while len(seconds[OURS]) < rounds:
        block = min(BLOCK, rounds - len(seconds[OURS]))
        for name, step in steps.items():
            loader = trainers[name].cfg.train_dataloader
            for _ in range(WARM_UP + loader.get('num_workers', 0) * loader.get('prefetch_factor', 2)):
                step()
            seconds[name] += [time_call(step, trainers[name].device) for _ in range(block)]
    return seconds


def _figures(seconds: Sequence[float], batch_size: int) -> dict[str, float]:
    median, tail = percentile(seconds, 50), percentile(seconds, 99)
    return dict(
        images_per_second=batch_size * len(seconds) / sum(seconds), p50=median, p99=tail, p99_over_p50=tail / median
    )


def _shapes(batches: Sequence[dict], cfg: Config) -> dict[str, int]:
    """Count the distinct shapes that warming up saw, that were timed, and that were timed when first seen."""
    divisor = (cfg.model.get('data_preprocessor') or {}).get('pad_size_divisor') or 1
    shapes = [padded_shape(batch, divisor) for batch in batches]
    warm_up, timed = set(shapes[:WARM_UP]), set(shapes[WARM_UP:])
    return dict(warm_up=len(warm_up), timed=len(timed), first_seen_when_timed=len(timed - warm_up))


def _agree(losses: dict[str, float], settings: Sequence[dict]) -> bool:
    in_float32 = all(each['precision'] == 'float32' for each in settings)
    tolerance = AGREES if in_float32 else AGREES_IN_HALF
    return math.isclose(*losses.values(), rel_tol=tolerance)


def training_table(result: dict) -> str:
    """Return the figures of `benchmark_training` as text."""
    rows = [
        [
            name,
            f'{each["images_per_second"]:.2f}',
            f'{each["p50"] * 1e3:.1f}',
            f'{each["p99"] * 1e3:.1f}',
            f'{each["p99_over_p50"]:.2f}',
            f'{each["peak_memory"] / 2**30:.2f}',
            each['settings']['precision'],
        ]
        for name, each in result['contenders'].items()
    ]
    ratio, losses, shapes = result['ratio'], result['first_losses'], result['shapes']
    machine, switches = result['machine'], ', '.join(result['switches']) or 'as the config is'
    lines = [
        f'{result["config"]}, {result["batch_size"]} pictures a step, {result["rounds"]} steps each, '
        f'{machine["device"]}, torch {machine["versions"]["torch"]}; {OURS}: {switches}',
        format_table(['', 'images/s', 'p50 ms', 'p99 ms', 'p99/p50', 'peak GiB', 'precision'], rows),
        f'{OURS} / {THEIRS}: {ratio["images_per_second"]:.3f} in images/s ({ratio["step_in_turn"]:.3f} in the median '
        f'of the steps taken in turn), {ratio["peak_memory"]:.3f} in peak memory',
    ]
    if shapes:
        lines.append(
            f'shapes of batches: {shapes["warm_up"]} in warming up, {shapes["timed"]} timed, of which '
            f'{shapes["first_seen_when_timed"]} were first seen then'
        )
    lines.append(f'mmcv.ops of both: {result["mmcv_ops"]}')
    lines.append(
        f'loss of the first batch: {losses[OURS]:.5f} and {losses[THEIRS]:.5f}, '
        + ('which agree' if losses['agree'] else 'WHICH DIFFER: these are not the same model')
    )
    return '\n'.join(lines)
