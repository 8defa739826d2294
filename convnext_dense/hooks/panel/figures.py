"""What a panel shows of a run: values that the run has noted already."""

import re
from dataclasses import dataclass, field

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from convnext_dense.config.training_options.metrics import better, main_metric
from convnext_dense.training.memory.peak import peak_memory

# The mean of so many steps is what a value is.
WINDOW = 10
# Of time and throughput.
LONG_WINDOW = 50
MOST_PARTS, MOST_SCORES = 8, 3
# Losses of a decoder's earlier layers, such as `d3.loss_cls`.
OF_LAYERS = re.compile(r'(^|[._])d\d+\.')
# Parts of a score, such as that of small objects, or of one of many classes.
PARTIAL = re.compile(r'_(\d+|s|m|l|th|st|precision)$')


@dataclass
class Score:
    """A metric over a run's validations.

    Args:
        name: The metric.
        values: One for each validation.
        best: The best of them.
    """

    name: str
    values: np.ndarray
    best: float


@dataclass
class Figures:
    """What a panel shows.

    Args:
        title: The run's name.
        place: The work dir.
        epoch: Such as 'epoch 2 of 12'.
        step: How many steps are done.
        steps: How many there are.
        seconds_left: How long the steps to go take; None if it is not known.
        losses: The loss and its parts, with a value for each step.
        hidden: How many parts are left out.
        rates: The learning rate of each step.
        images_a_second: By the last steps; None before the first one.
        waiting: Which share of the time went to waiting for data.
        memory: The peak of the device, in bytes.
        memory_in_all: What the device has; None on a CPU.
        scores: Those of the validations.
    """

    title: str
    place: str
    epoch: str
    step: int
    steps: int
    seconds_left: float | None = None
    losses: dict[str, np.ndarray] = field(default_factory=dict)
    hidden: int = 0
    rates: np.ndarray = field(default_factory=lambda: np.zeros(0))
    images_a_second: float | None = None
    waiting: float = 0.0
    memory: int = 0
    memory_in_all: int | None = None
    scores: list[Score] = field(default_factory=list)


def read_figures(runner: Runner, step: int, images: int, seconds_left: float | None) -> Figures:
    """Return what a run has noted. It computes nothing on a device, and waits for none.

    Args:
        runner: The runner, which trains.
        step: How many steps are done.
        images: Images of a step, in all processes.
        seconds_left: How long the steps to go take.
    """
    curves = {
        name.removeprefix('train/'): buffer.data[0]
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.startswith('train/')
    }
    names, hidden = shown_losses([name for name in curves if 'loss' in name])
    times, waits = (curves.get(name, np.zeros(0))[-LONG_WINDOW:] for name in ('time', 'data_time'))
    total = float(times.sum())
    device = next(runner.model.parameters()).device
    return Figures(
        title=runner.experiment_name.removesuffix(f'_{runner.timestamp}'),
        place=runner.work_dir,
        epoch=_epoch(runner, step),
        step=step,
        steps=runner.max_iters,
        seconds_left=seconds_left,
        losses={name: curves[name] for name in names},
        hidden=hidden,
        rates=curves.get('lr', np.zeros(0)),
        images_a_second=images * len(times) / total if total else None,
        waiting=float(waits.sum()) / total if total else 0.0,
        memory=peak_memory(),
        memory_in_all=torch.cuda.get_device_properties(device).total_memory if device.type == 'cuda' else None,
        scores=read_scores(runner),
    )


def shown_losses(names: list[str]) -> tuple[list[str], int]:
    """Return which losses are shown, the total first, and how many are not.

    Args:
        names: All of them.

    Example:
        >>> shown_losses(['loss_cls', 'loss_bbox', 'loss'])
        (['loss', 'loss_cls', 'loss_bbox'], 0)
    """
    parts = [name for name in names if name != 'loss']
    if len(parts) > MOST_PARTS:
        parts = [name for name in parts if not OF_LAYERS.search(name)] or parts
    parts = parts[:MOST_PARTS]
    total = ['loss'] if 'loss' in names else []
    return total + parts, len(names) - len(parts) - len(total)


def read_scores(runner: Runner) -> list[Score]:
    """Return the scores of a run's validations, the one that matters most first."""
    curves = {
        name.removeprefix('val/'): buffer.data[0]
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.startswith('val/')
    }
    return [
        Score(name.rpartition('/')[2], curves[name], (np.nanmin if better(name) == 'less' else np.nanmax)(curves[name]))
        for name in shown_scores(runner.cfg, list(curves))
        if np.isfinite(curves[name]).any()
    ]


def shown_scores(cfg: Config, names: list[str]) -> list[str]:
    """Return which metrics are shown.

    Args:
        cfg: The run's config.
        names: All that its validations report.

    Example:
        >>> cfg = Config(dict(val_evaluator=dict(type='CocoMetric', metric=['bbox', 'segm'])))
        >>> shown_scores(cfg, ['coco/cat_precision', 'coco/bbox_mAP', 'coco/bbox_mAP_50', 'coco/segm_mAP', 'time'])
        ['coco/segm_mAP', 'coco/bbox_mAP']
    """
    main = main_metric(cfg)
    whole = [name for name in names if name not in ('time', 'data_time') and not PARTIAL.search(name)]
    return [*([main] if main in names else []), *(name for name in whole if name != main)][:MOST_SCORES]


def _epoch(runner: Runner, step: int) -> str:
    loop = runner.train_loop
    if not hasattr(loop, 'dataloader_iterator'):
        return f'epoch {min(runner.epoch + 1, loop.max_epochs)} of {loop.max_epochs}'
    length = max(len(runner.train_dataloader), 1)
    return f'epoch {max(step - 1, 0) // length + 1} of {-(-runner.max_iters // length)}'
