"""How much memory a training takes, counted without allocating it."""

from dataclasses import dataclass

import torch
from mmengine.config import Config
from torch import Tensor

from convnext_dense.analysis.counters import find_counter
from convnext_dense.analysis.image_shape import default_shape
from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta, without_allocating

# Of float32.
BYTES = 4
# How many values an optimizer keeps for each parameter.
STATES = {'SGD': 1, 'Adam': 2, 'AdamW': 2, 'NAdam': 2, 'RAdam': 2, 'Lion': 1}


@dataclass(frozen=True)
class TrainingMemory:
    """The bytes that a training in float32 takes at least. Workspaces of kernels come on top.

    Args:
        weights: Those of the parameters and their gradients.
        optimizer: What the optimizer keeps.
        activations: What the forward pass of one image keeps for the backward pass.
    """

    weights: int
    optimizer: int
    activations: int

    def total(self, batch_size: int) -> int:
        """Return the bytes of a training with so many images a step.

        Args:
            batch_size: How many.

        Example:
            >>> TrainingMemory(weights=2, optimizer=3, activations=10).total(2)
            25
        """
        return self.weights + self.optimizer + batch_size * self.activations


def measure_training_memory(cfg: Config, shape: tuple[int, int] | None = None) -> TrainingMemory:
    """Count the memory of a training in float32: weights, gradients, the optimizer's state, and kept activations.

    The forward pass is that of `measure_complexity`, on PyTorch's meta device: of a two-stage detector 1000 RoIs go
    through each box head, and 100 through each mask head. Losses and their targets are left out.

    Args:
        cfg: A config with a model and an optimizer.
        shape: Height and width of the image in pixels. Defaults to `default_shape`.

    Raises:
        UsageError: If the model cannot be built, counted, or take such an image.

    Example:
        >>> from convnext_dense.config import load_config
        >>> memory = measure_training_memory(load_config('upernet_convnext-demo_demo-ade20k'))
        >>> memory.optimizer == memory.weights
        True
    """
    height, width = shape or default_shape(cfg)
    try:
        model = build_on_meta(cfg.model, cfg.default_scope)
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        frozen = sum(parameter.numel() for parameter in model.parameters()) - trained
        owned = {id(parameter) for parameter in [*model.parameters(), *model.buffers()]}
        count = find_counter(model)
        kept: dict[int, Tensor] = {}

        def note(tensor: Tensor) -> Tensor:
            if id(tensor) not in owned:
                base = tensor if tensor._base is None else tensor._base
                kept[id(base)] = base
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
        with without_allocating(), torch.enable_grad(), hooks:
            count(model, torch.empty(1, (cfg.model.get('backbone') or {}).get('in_channels', 3), height, width))
    except UsageError:
        raise
    except Exception as error:  # a user's model may raise anything
        reason = build_sentence(error, cfg) or message_of(error)
        raise UsageError(f'model: an image of {height} x {width}: {reason}') from error
    activations = sum(tensor.numel() * tensor.element_size() for tensor in kept.values() if id(tensor) not in owned)
    kind = bare_type(((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type'))
    return TrainingMemory(
        weights=(2 * trained + frozen) * BYTES, optimizer=STATES.get(kind, 2) * trained * BYTES, activations=activations
    )
