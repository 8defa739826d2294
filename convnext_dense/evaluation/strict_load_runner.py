"""A runner that does not test a model of which weights are missing."""

from collections.abc import Callable

from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import CheckpointError
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.matching import shorten


class StrictLoadRunner(Runner):
    """mmengine's runner, except that a checkpoint must have every tensor of the model. mmengine only warns.

    Example:
        >>> runner = StrictLoadRunner.from_cfg(cfg)  # doctest: +SKIP
    """

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = False,
        revise_keys: list = [(r'^module\.', '')],  # noqa: B006 - never changed
    ) -> dict:
        """Load a checkpoint as mmengine's runner does.

        Raises:
            CheckpointError: If it lacks tensors of the model, or has them in another shape.
        """
        model = unwrap(self.model)
        absent = []
        # Called after every module has renamed its older names.
        hook = model.register_load_state_dict_post_hook(lambda _, keys: absent.extend(keys.missing_keys))
        try:
            checkpoint = super().load_checkpoint(filename, map_location, strict, revise_keys)
        finally:
            hook.remove()
        absent = [name for name in absent if not name.endswith('num_batches_tracked')]
        absent += _other_shapes(model, checkpoint.get('state_dict', checkpoint))
        if absent:
            raise CheckpointError(
                f'{filename} is no checkpoint of this model: it lacks, or has in another shape, {shorten(absent)}; '
                'test it with the config that it was trained with.'
            )
        return checkpoint


def _other_shapes(model: nn.Module, weights: dict[str, Tensor]) -> list[str]:
    """Return the names of the model's tensors that have another shape in `weights`. A ConvNeXt checks its own."""
    backbones = tuple(f'{name}.' for name, module in model.named_modules() if isinstance(module, ConvNeXt))
    shapes = {name.removeprefix('module.'): getattr(tensor, 'shape', None) for name, tensor in weights.items()}
    return [
        name
        for name, tensor in model.state_dict().items()
        if not name.startswith(backbones) and shapes.get(name, tensor.shape) != tensor.shape
    ]
