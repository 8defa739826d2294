"""Finds out what is wrong with a step whose loss or gradient is not finite, and keeps what repeats it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.runner import Runner

from convnext_dense.errors import RunError, UsageError
from convnext_dense.training.steps.diagnosis import bad_images_of, diagnose, images_of
from convnext_dense.training.steps.recorded_step import digest, record_step
from convnext_dense.training.steps.update_guard import UpdateGuard
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.matching import shorten


@dataclass
class Suspect:
    """A step that is looked into once all processes can do so.

    Args:
        step: Which it is, from 1.
        batch: Its batch, as the loader yields it.
        rng: The random generators' state before it.
        losses: Its losses.
    """

    step: int
    batch: Any
    rng: dict
    losses: dict[str, float]

    @property
    def bad_losses(self) -> list[str]:
        """The names of the losses that are not finite."""
        return [name for name, value in self.losses.items() if not math.isfinite(value)]

    @property
    def cause(self) -> str:
        """What is not finite, and at which step."""
        return f'{describe_losses(self.losses, self.bad_losses)} at step {self.step}'


@dataclass
class StepReport:
    """What was found of a step.

    Args:
        cause: What is not finite, and at which step.
        details: The images and where it comes from, as the end of a sentence; '' if that is not known.
        is_here: Whether it comes from this process's images.
        file: What repeats the step, or why it was not written; '' if it was not to be.
    """

    cause: str
    details: str
    is_here: bool
    file: str = ''

    def __str__(self) -> str:
        """Say it in sentences."""
        return f'{self.cause}{self.details}.{self.file}'


def look_into(runner: Runner, suspect: Suspect, guard: UpdateGuard, can_repeat: bool, keep: bool) -> StepReport:
    """Find out where a step's values that are not finite come from. All processes do it together.

    Args:
        runner: The runner, whose weights are those before the step.
        suspect: The step.
        guard: What has left out its update.
        can_repeat: Whether the step can be made again. It cannot if no process has the whole model.
        keep: Whether to write a file that repeats it.
    """
    images = bad_images_of(suspect.batch)
    pixels = ', whose pixels are not finite' if images else ''
    images = images or images_of(suspect.batch)
    details = f'; {"image" if len(images) == 1 else "images"} {shorten(images)}{pixels}' if images else ''
    if not can_repeat:
        return StepReport(suspect.cause, details, bool(suspect.bad_losses))
    diagnosis = diagnose(unwrap(runner.model), runner.optim_wrapper, suspect.batch, suspect.rng)
    details = f'{details}; {diagnosis}'
    # A step that is finite the second time is of interest too, if no other process is the cause.
    is_here = bool(suspect.bad_losses or diagnosis.module or diagnosis.parameters) or get_world_size() == 1
    file = _keep(runner, suspect, guard, f'{suspect.cause}{details}.') if keep and is_here else ''
    return StepReport(suspect.cause, details, is_here, file)


def of_all_processes(report: StepReport) -> str:
    """Return what the processes found whose images are the cause.

    Args:
        report: This process's.
    """
    own = f'{report.cause}{report.details}'
    if get_world_size() == 1:
        return own
    found = all_gather_object(own if report.is_here else '')
    causes = [f'process {rank}: {text}' for rank, text in enumerate(found) if text]
    return ' | '.join(causes) or own


def in_any_process(flag: bool) -> bool:
    """Return whether a flag is set in one of the processes. All call it together.

    Args:
        flag: This process's.

    Example:
        >>> in_any_process(True)
        True
    """
    if get_world_size() == 1:
        return flag
    common = torch.tensor(int(flag))
    all_reduce(common, 'max')
    return bool(common)


def read_losses(runner: Runner, outputs: Mapping) -> dict[str, float]:
    """Return the losses of a step. mmengine has fetched them from the device for its log.

    Args:
        runner: The runner.
        outputs: What ``train_step`` returned.
    """
    scalars = runner.message_hub.log_scalars

    def read(name: str) -> float:
        history = scalars.get(f'train/{name}')
        return float(history.current() if history is not None else outputs[name])

    return {name: read(name) for name in outputs if 'loss' in name}


def describe_losses(losses: dict[str, float], bad: list[str]) -> str:
    """Say which losses are not finite, or if all are, that the gradients are not.

    Example:
        >>> describe_losses(dict(loss_cls=math.nan, loss=math.nan), ['loss_cls', 'loss'])
        'loss_cls is nan'
        >>> describe_losses(dict(loss=2.0), [])
        'a gradient is not finite, of a loss of 2,'
    """
    if not bad:
        total = losses.get('loss')
        return 'a gradient is not finite,' if total is None else f'a gradient is not finite, of a loss of {total:.4g},'
    terms = [name for name in bad if name != 'loss'] or bad
    return f'{shorten(terms)} {"is" if len(terms) == 1 else "are"} {losses[terms[0]]:g}'


def _keep(runner: Runner, suspect: Suspect, guard: UpdateGuard, found: str) -> str:
    """Write the step to a file in the work dir. Say where it is, or why it could not be written."""
    process = f'_process_{get_rank()}' if get_world_size() > 1 else ''
    path = Path(runner.work_dir, f'non_finite_step_{suspect.step}{process}.pt')
    is_its_own = get_world_size() == 1 and getattr(runner.optim_wrapper, '_accumulative_counts', 1) == 1
    names = {id(parameter): name for name, parameter in unwrap(runner.model).named_parameters()}
    pairs = [(names[id(parameter)], gradient) for parameter, gradient in guard.gradients if id(parameter) in names]
    try:
        step = record_step(
            runner,
            suspect.step,
            suspect.batch,
            suspect.rng,
            images_of(suspect.batch),
            suspect.losses,
            digest(pairs) if is_its_own and pairs else '',
            found,
        )
        step.write(path)
    except (UsageError, RunError) as error:
        return f' The step was not kept: {error}'
    return f' The step is kept in {path}, and `convnext-dense replay` makes it again.'
