"""Finds where in a model values that are not finite come from, by making the step once more."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from convnext_dense.training.checkpoints.optimizer_state import optimizers_of
from convnext_dense.training.resuming.module_state import changed_attributes, set_attributes
from convnext_dense.training.resuming.rng import rng_state, set_rng_state
from convnext_dense.training.steps.buffer_copies import BufferCopies
from convnext_dense.training.steps.finite import is_a_mask, is_non_finite, tensors_in
from convnext_dense.weights.matching import shorten

SHOWN_PARAMETERS = 4


@dataclass
class Diagnosis:
    """Where values that are not finite come from.

    Args:
        module: The first module, in the order of computing, that returned such values, with its type; '' if none did.
        has_bad_input: Whether it was given such values already.
        groups: The names or numbers of the optimizer's parameter groups with such gradients.
        parameters: The names of these parameters.
        count: How many parameters got a gradient.
    """

    module: str = ''
    has_bad_input: bool = False
    groups: Sequence[str] = ()
    parameters: Sequence[str] = ()
    count: int = 0

    def __str__(self) -> str:
        """Say it in one sentence, without its end."""
        if self.module:
            already = ', and its input is not finite either' if self.has_bad_input else ''
            where = f'the first output that is not finite is that of {self.module}{already}'
        else:
            where = 'the outputs of all modules are finite'
        if not self.parameters:
            return f'{where}; the gradients are finite'
        number = 'group' if len(self.groups) == 1 else 'groups'
        # The names of many say nothing: NaN in the loss is in all gradients.
        names = f' ({shorten(self.parameters)})' if len(self.parameters) <= SHOWN_PARAMETERS else ''
        return (
            f'{where}; the gradients of {len(self.parameters)} of {self.count} parameters are not finite, in parameter '
            f'{number} {shorten(self.groups)}{names}'
        )


def diagnose(model: nn.Module, optim_wrapper: OptimWrapper | dict | None, batch: Any, rng: dict) -> Diagnosis:  # noqa: ANN401
    """Make a step again without its update, and see where values that are not finite come from.

    Weights, gradients, buffers and random generators are afterwards as before.

    Args:
        model: The model, without a wrapper.
        optim_wrapper: The runner's.
        batch: The batch, as the loader yields it.
        rng: The random generators' state before the step, as of `rng_state`.

    Example:
        >>> diagnose(model, runner.optim_wrapper, batch, rng_state()).module  # doctest: +SKIP
        'backbone.downsample_layers.0.0 (Conv2d)'
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    with _undone(model, rng), _watched(model) as found:
        for parameter in model.parameters():
            parameter.grad = None
        # A model's own `train_step`, not what may hide it in the object.
        type(model).train_step(model, batch, optim_wrapper=_BackwardAlone(optim_wrapper))
        groups, parameters, count = [], [], 0
        all_groups = [group for optimizer in optimizers_of(optim_wrapper) for group in optimizer.param_groups]
        for i, group in enumerate(all_groups):
            with_gradient = [parameter for parameter in group['params'] if parameter.grad is not None]
            bad = [names.get(id(p), f'group {i}') for p in with_gradient if is_non_finite(p.grad)]
            count += len(with_gradient)
            parameters += bad
            groups += [str(group.get('group_name', i))] if bad else []
    return Diagnosis(found.module, found.has_bad_input, groups, parameters, count)


def images_of(batch: Any) -> list[str]:  # noqa: ANN401 - what a loader yields
    """Return the paths of a batch's images, as its data samples have them.

    Example:
        >>> from mmengine.structures import BaseDataElement
        >>> images_of(dict(data_samples=[BaseDataElement(metainfo=dict(img_path='a.jpg'))]))
        ['a.jpg']
    """
    samples = batch.get('data_samples') if isinstance(batch, Mapping) else None
    if not isinstance(samples, list | tuple):
        return []
    # A sample without a path may have the image's number.
    names = [getattr(sample, 'img_path', None) or getattr(sample, 'img_id', None) for sample in samples]
    return [str(name) for name in names if name is not None]


def bad_images_of(batch: Any) -> list[str]:  # noqa: ANN401 - what a loader yields
    """Return the paths of those of a batch's images whose pixels are not finite."""
    paths = images_of(batch)
    inputs = batch.get('inputs') if isinstance(batch, Mapping) else None
    if not isinstance(inputs, Tensor | list | tuple) or len(inputs) != len(paths):
        return []
    return [path for path, image in zip(paths, inputs, strict=True) if any(map(is_non_finite, tensors_in(image)))]


class _BackwardAlone:
    """An optimizer's wrapper that computes gradients and changes nothing."""

    def __init__(self, optim_wrapper: Any) -> None:  # noqa: ANN401 - a wrapper, or a dict of some
        self._optim_wrapper = optim_wrapper

    def update_params(self, loss: Tensor, **kwargs: dict | None) -> None:
        """Compute the gradients of a loss, as the wrapper would."""
        wrapper = self._optim_wrapper
        # The step was counted when it was made first, and its share of an update depends on the count.
        wrapper._inner_count -= 1
        loss = wrapper.scale_loss(loss)
        wrapper._inner_count += 1
        scaler = getattr(wrapper, 'loss_scaler', None)
        if loss.requires_grad:
            (scaler.scale(loss) if scaler is not None else loss).backward()

    def __getattr__(self, name: str) -> object:
        return getattr(self._optim_wrapper, name)


@dataclass
class _Found:
    """The first output that is not finite."""

    module: str = ''
    has_bad_input: bool = False
    is_mask: bool = False


@contextmanager
def _watched(model: nn.Module) -> Generator[_Found]:
    """Look at the outputs of all modules."""
    found = _Found()

    def look(module: nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        if found.module and not found.is_mask:
            return
        bad = [tensor for tensor in tensors_in(output) if is_non_finite(tensor)]
        # Heads give minus infinity to what they leave out; another output that is not finite says more.
        is_mask = bool(bad) and all(map(is_a_mask, bad))
        if bad and not (is_mask and found.module):
            found.module = f'{names[module] or "the model"} ({type(module).__name__})'
            found.has_bad_input = any(map(is_non_finite, tensors_in([args, kwargs])))
            found.is_mask = is_mask

    names = {module: name for name, module in model.named_modules()}
    handles = [module.register_forward_hook(look, with_kwargs=True) for module in names]
    try:
        # Compiled code calls no hooks.
        with torch.compiler.set_stance('force_eager'):
            yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _undone(model: nn.Module, rng: dict) -> Generator[None]:
    """Begin with a state of the random generators, and leave all as it was."""
    before, buffers, attributes = rng_state(), BufferCopies(model), changed_attributes(model)
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    buffers.update()
    set_rng_state(rng)
    try:
        yield
    finally:
        set_rng_state(before)
        buffers.restore()
        set_attributes(model, attributes)
        for parameter, gradient in gradients:
            parameter.grad = gradient
