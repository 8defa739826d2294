"""Runners that do not test a model of which weights are missing, and do not resume what cannot be resumed."""

from collections.abc import Callable

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.training.curves import ContinuedCurves
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.matching import printable, shorten, without_counters

REVISE_KEYS = [(r'^module\.', '')]


class StrictLoadRunner(Runner):
    """mmengine's runner, except that a checkpoint must have every tensor of the model. mmengine only warns.

    Example:
        >>> runner = StrictLoadRunner.from_cfg(cfg)  # doctest: +SKIP
    """

    remedy = 'test it with the config that it was trained with'

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = False,
        revise_keys: list = REVISE_KEYS,
    ) -> dict:
        """Load a checkpoint as mmengine's runner does.

        Raises:
            CheckpointError: If too little of it fits the model, as `check_loaded` says.
        """
        model = unwrap(self.model)
        absent = []
        # Called after every module has renamed its older names.
        hook = model.register_load_state_dict_post_hook(lambda _, keys: absent.extend(keys.missing_keys))
        try:
            checkpoint = super().load_checkpoint(filename, map_location, strict, revise_keys)
        finally:
            hook.remove()
        weights = checkpoint.get('state_dict', checkpoint)
        absent = without_counters(absent)
        self.check_loaded(filename, weights, absent + _other_shapes(model, weights))
        return checkpoint

    def check_loaded(self, filename: str, weights: dict[str, Tensor], absent: list[str]) -> None:
        """Raise CheckpointError if a checkpoint lacks tensors of the model, or has them in another shape.

        Args:
            filename: The checkpoint.
            weights: Its weights.
            absent: The names of the model's tensors that did not load.
        """
        if absent:
            raise CheckpointError(
                f'{filename} is no checkpoint of this model: it lacks, or has in another shape, {shorten(absent)}; '
                f'{self.remedy}.'
            )

    def call_hook(self, fn_name: str, **kwargs: object) -> None:
        """Call the hooks as mmengine's runner does. They look for the weights under `state_dict`."""
        checkpoint = kwargs.get('checkpoint')
        if fn_name == 'after_load_checkpoint' and isinstance(checkpoint, dict) and 'state_dict' not in checkpoint:
            kwargs['checkpoint'] = dict(state_dict=checkpoint)
        super().call_hook(fn_name, **kwargs)


class TrainRunner(ContinuedCurves, StrictLoadRunner):
    """mmengine's runner, except that it says in one sentence why it cannot resume, and what `load_from` cannot load.

    Example:
        >>> runner = TrainRunner.from_cfg(cfg)  # doctest: +SKIP
    """

    remedy = 'resume with the config that it was trained with, or take what fits of its weights by load_from'

    def check_loaded(self, filename: str, weights: dict[str, Tensor], absent: list[str]) -> None:
        """Raise CheckpointError if a checkpoint lacks tensors of the model to resume, or has none of them."""
        if self._resume:
            super().check_loaded(filename, weights, absent)
            return
        names = without_counters(unwrap(self.model).state_dict())
        if names and set(names) <= set(absent):
            raise CheckpointError(
                f"load_from: {filename} has none of the model's tensors, which are such as {shorten(names)}; its own "
                f'are such as {shorten(map(str, weights))}.'
            )

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'default',
    ) -> None:
        """Resume as mmengine's runner does.

        Raises:
            CheckpointError: If the checkpoint is not one of such a training.
        """
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        except (UsageError, torch.OutOfMemoryError):
            raise
        # What is missing, or of another type or size, shows itself by any of these.
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
            reason = printable(' '.join(str(error).split())[:200])
            raise CheckpointError(
                f'{filename} cannot be resumed by this config ({type(error).__name__}: {reason}); load_from takes its '
                'weights alone.'
            ) from error


def _other_shapes(model: nn.Module, weights: dict[str, Tensor]) -> list[str]:
    """Return the names of the model's tensors that have another shape in `weights`. A ConvNeXt checks its own."""
    backbones = tuple(f'{name}.' for name, module in model.named_modules() if isinstance(module, ConvNeXt))
    weights = {name.removeprefix('module.'): tensor for name, tensor in weights.items()}
    if rename := getattr(model, 'rename_weights', None):
        weights = rename(weights)
    shapes = {name: getattr(tensor, 'shape', None) for name, tensor in weights.items()}
    return [
        name
        for name, tensor in model.state_dict().items()
        if not name.startswith(backbones) and shapes.get(name, tensor.shape) != tensor.shape
    ]
