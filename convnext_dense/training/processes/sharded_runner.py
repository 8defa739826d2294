"""A runner that can shard what it trains."""

from collections.abc import Callable, Generator, Set
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from convnext_dense.errors import UsageError
from convnext_dense.registry import MODEL_WRAPPERS
from convnext_dense.training.processes.cpu_sync_bn import sync_on_cpu
from convnext_dense.training.processes.sharding import (
    cut_loaded_states,
    numbers_of_scalars,
    scalars_of,
    shard,
    whole_states,
    whole_weights,
)

# Hooks that copy the model, or compile what then communicates.
EXCLUDED = ('EMAHook', 'CompileHook')


@MODEL_WRAPPERS.register_module()
class FullyShardedModel(MMDistributedDataParallel):
    """Stands in a config for a model that is sharded over the processes that train it.

    `ShardedTraining` shards the model itself, once its weights are initialized, and builds no wrapper.

    Example:
        >>> model_wrapper_cfg = dict(type='convnext_dense.FullyShardedModel')
    """


class ShardedTraining(Runner):
    """A runner that shards the model, the gradients and the optimizer's state, if the config asks for it.

    That is ``model_wrapper_cfg = dict(type='convnext_dense.FullyShardedModel')``. Checkpoints hold whole tensors. Mix
    it into a runner's class.
    """

    _is_sharded = False
    _scalars: Set[int] = frozenset()

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model as mmengine does, unless it will be sharded."""
        if not _is_named((model_wrapper_cfg or {}).get('type'), FullyShardedModel.__name__):
            return super().wrap_model(model_wrapper_cfg, model)
        if not self.distributed:
            return super().wrap_model(None, model)
        for name in EXCLUDED:
            if any(_is_named(hook.get('type'), name) for hook in self.cfg.get('custom_hooks') or []):
                raise UsageError(f'model_wrapper_cfg: leave out FullyShardedModel or {name}; they do not go together.')
        self._is_sharded = True
        if not torch.cuda.is_available():
            sync_on_cpu(model)
        return model.to(get_device())

    def build_optim_wrapper(self, optim_wrapper: Any) -> OptimWrapper:  # noqa: ANN401 - mmengine's
        """Build the optimizer, of a model that is initialized and sharded before."""
        if not self._is_sharded or isinstance(optim_wrapper, OptimWrapper):
            return super().build_optim_wrapper(optim_wrapper)
        # An optimizer holds parameters, and the whole ones are not there any more once they are sharded.
        super()._init_model_weights()
        shard(self.model)
        built = super().build_optim_wrapper(optim_wrapper)
        cut_loaded_states(built.optimizer)
        self._scalars = numbers_of_scalars(built.optimizer, self.model)
        if built.clip_grad_kwargs:
            built.clip_func = _returning_numbers(built.clip_func)
        return built

    def _init_model_weights(self) -> None:
        if not self._is_sharded:
            super()._init_model_weights()

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - mmengine's
        """Save a checkpoint of whole tensors. All processes call it together."""
        if not self._is_sharded:
            super().save_checkpoint(*args, **kwargs)
            return
        assert isinstance(self.optim_wrapper, OptimWrapper)
        weights, states = whole_weights(self.model), whole_states(self.optim_wrapper, self._scalars)
        with _state(self.model, weights), _state(self.optim_wrapper, states):
            super().save_checkpoint(*args, **kwargs)

    def check_loaded(self, filename: str, weights: dict[str, Tensor], absent: list[str]) -> None:
        """Check what is loaded, except for parameters whose shape is another only because the model is sharded."""
        reshaped = {name for name in scalars_of(self.model) if name in weights}
        super().check_loaded(filename, weights, [name for name in absent if name not in reshaped])


def _is_named(kind: Any, name: str) -> bool:  # noqa: ANN401 - a name or a class
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2] == name


def _returning_numbers(clip: Callable) -> Callable:
    """Make a function that clips gradients return their norm as mmengine logs it, and not as parts of it."""

    @wraps(clip)
    def clip_all(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - PyTorch's
        norm = clip(*args, **kwargs)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    return clip_all


@contextmanager
def _state(owner: Any, state: dict) -> Generator[None]:  # noqa: ANN401 - a model or an optimizer's wrapper
    """Answer with a state dict that was collected before, since one process alone asks for it."""
    owner.state_dict = lambda *args, **kwargs: state
    try:
        yield
    finally:
        del owner.state_dict
