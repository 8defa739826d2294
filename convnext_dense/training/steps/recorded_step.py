"""A step as a file holds it, so that it can be made again elsewhere."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import Runner
from torch import Tensor

from convnext_dense.errors import RunError, UsageError
from convnext_dense.training.resuming.module_state import changed_attributes
from convnext_dense.training.steps.batch_as_data import to_data
from convnext_dense.training.unwrap import unwrap
from convnext_dense.version import __version__
from convnext_dense.weights.storage.files import read_file

FORM = 'a step of convnext_dense'
# What the lists and dicts of a file hold, besides those that are a state of something.
PARTS = dict(images=str, losses=float, process=int, counts=int, info=int)
# What heads and preprocessors of mmdet read of a run.
INFO = ('iter', 'max_iters', 'epoch', 'max_epochs')


@dataclass
class RecordedStep:
    """What one process knows of a step before it is made, and what came of it.

    Args:
        step: Which it is, from 1.
        images: The paths of its images.
        losses: Its losses by name.
        gradients: The digest of its gradients; '' if they are not those of this process and step alone.
        found: What was found of it, as a sentence.
        device: What it was made on: 'cpu', or a GPU's name.
        threads: PyTorch's threads on the CPU, on which the order of sums depends.
        versions: The versions of the packages.
        process: The process's rank and how many there were.
        config: The run's config.
        batch: As `to_data` returns it.
        weights: The model's state dict before the step.
        attributes: As `changed_attributes` returns them.
        optimizer: The state dict of the optimizer's wrapper.
        counts: The wrapper's count of steps after the step, and at the run's end; -1 if it does not know.
        rng: The random generators' state before the step, as of `rng_state`.
        info: mmengine's counts of steps and epochs.
    """

    step: int
    images: list
    losses: dict
    gradients: str
    found: str
    device: str
    threads: int
    process: list
    config: dict
    batch: Any
    weights: dict
    attributes: dict
    optimizer: dict
    counts: list
    rng: dict
    info: dict
    versions: dict = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the step to a file, whole or not at all.

        Raises:
            RunError: If it cannot be written.
        """
        unfinished = path.with_name(f'{path.name}.unfinished')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(dict(form=FORM, **vars(self)), unfinished)
            os.replace(unfinished, path)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            # PyTorch has an error of its own for a full disk.
            reason = getattr(error, 'strerror', None) or str(error).splitlines()[0]
            raise RunError(f'{path} cannot be written: {reason}.') from error


def record_step(
    runner: Runner,
    step: int,
    batch: Any,  # noqa: ANN401 - what a loader yields
    rng: dict,
    images: list[str],
    losses: dict[str, float],
    gradients: str,
    found: str,
) -> RecordedStep:
    """Return a step that a runner has made, and whose update it has left out.

    Args:
        runner: The runner, whose weights are those before the step.
        step: Which it is, from 1.
        batch: The batch, as the loader yields it.
        rng: The random generators' state before the step.
        images: The paths of its images.
        losses: Its losses.
        gradients: The digest of its gradients, or ''.
        found: What was found of it.

    Raises:
        UsageError: If a file cannot hold the batch.
    """
    model, wrapper = unwrap(runner.model), runner.optim_wrapper
    device = next(model.parameters()).device
    return RecordedStep(
        step=step,
        images=images,
        losses=losses,
        gradients=gradients,
        found=found,
        device=torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type,
        threads=torch.get_num_threads(),
        process=[get_rank(), get_world_size()],
        config=_plain(runner.cfg.to_dict()),
        batch=to_data(batch),
        weights={name: value.detach().cpu() for name, value in model.state_dict().items() if isinstance(value, Tensor)},
        attributes=changed_attributes(model),
        optimizer=_on_cpu(wrapper.state_dict()),
        counts=[getattr(wrapper, '_inner_count', 0), getattr(wrapper, '_max_counts', -1)],
        rng=rng,
        info={name: value for name in INFO if type(value := runner.message_hub.runtime_info.get(name)) is int},
        versions=dict(convnext_dense=__version__, torch=str(torch.__version__)),
    )


def read_step(path: str | Path) -> RecordedStep:
    """Read a step that `RecordedStep.write` wrote. The file may be a stranger's: no code in it runs.

    Args:
        path: The file.

    Raises:
        UsageError: If it cannot be read, or holds something else.

    Example:
        >>> read_step('no/such/file.pt')
        Traceback (most recent call last):
        convnext_dense.errors.CheckpointError: there is no checkpoint file no/such/file.pt.
    """
    content = read_file(path, mmap=False)
    if content.pop('form', None) != FORM:
        raise UsageError(f'file: {path} is no recorded step; a run writes one when a loss or gradient is not finite.')
    fields = {field.name: field.type for field in dataclasses.fields(RecordedStep)}
    wrong = [name for name, kind in fields.items() if kind is not Any and type(content.get(name)) is not kind]
    wrong += [name for name, kind in PARTS.items() if name not in wrong and not _holds(content[name], kind)]
    wrong += [name for name in ('process', 'counts') if name not in wrong and len(content[name]) != 2]
    if wrong or content.keys() != fields.keys():
        raise UsageError(f'file: {path} is a recorded step of another form; look at {", ".join(wrong) or "its names"}.')
    return RecordedStep(**content)


def digest(gradients: Iterable[tuple[str, Tensor]]) -> str:
    """Return a number that changes with any bit of gradients. All NaN are alike.

    Args:
        gradients: Names and values.

    Example:
        >>> digest([('weight', torch.tensor([1.0]))]) == digest([('weight', torch.tensor([1.0 + 2**-23]))])
        False
    """
    result = hashlib.sha256()
    for name, gradient in sorted(gradients, key=lambda pair: pair[0]):
        dense = gradient.detach().float().cpu().to_dense().contiguous()
        dense = torch.where(dense.isnan(), torch.nan, dense)
        result.update(f'{name} {tuple(dense.shape)}'.encode())
        result.update(dense.numpy().tobytes())
    return result.hexdigest()


def _holds(parts: list | dict, kind: type) -> bool:
    values = parts
    if isinstance(parts, dict):
        values = parts.values()
        if any(type(name) is not str for name in parts):
            return False
    return all(type(value) is kind for value in values)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any part of a config
    """Return a config as plain data; what is not, as its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else [_plain(part) for part in value]
    return value if value is None or type(value) in (bool, int, float, str) else str(value)


def _on_cpu(value: Any) -> Any:  # noqa: ANN401 - any part of a state dict
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {key: _on_cpu(part) for key, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value
