"""A runner that evaluates no model whose weights were loaded in part."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.checkpoints.matching import listed
from convnext_dense.errors import CheckpointError


class EvaluationRunner(Runner):
    """mmengine's runner, for which a checkpoint that lacks tensors of the model is an error instead of a warning."""

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | torch.device = 'cpu',
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r'^module\.', ''),),
    ) -> dict:
        """Load a checkpoint as mmengine's runner does.

        Raises:
            CheckpointError: If tensors of the model are missing from it, or have another shape in it.
        """
        checkpoint = super().load_checkpoint(filename, map_location, strict, revise_keys)
        weights = checkpoint.get('state_dict', checkpoint)
        shapes = {name.removeprefix('module.'): getattr(each, 'shape', None) for name, each in weights.items()}
        absent = [name for name, shape in _expected(self.model).items() if shapes.get(name) != shape]
        if absent:
            raise CheckpointError(
                f'{filename} is no checkpoint of this model: it lacks, or has in another shape, {listed(absent)}; '
                'test it with the config that it was trained with.'
            )
        return checkpoint


def _expected(model: nn.Module) -> dict[str, torch.Size]:
    """Return the shapes of a model's tensors by name; of a ConvNeXt, which checks the rest, only the output norms'."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    checked = tuple(
        f'{name}.{part}.'
        for name, module in model.named_modules()
        if isinstance(module, ConvNeXt)
        for part in ('downsample_layers', 'stages')
    )
    return {
        name: tensor.shape
        for name, tensor in model.state_dict().items()
        if not name.startswith(checked) and not name.endswith('num_batches_tracked')
    }
