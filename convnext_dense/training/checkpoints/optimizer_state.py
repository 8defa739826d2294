"""Fits an optimizer's state to the memory layout of its parameters."""

from collections.abc import Iterator

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor
from torch.optim import Optimizer


def optimizers_of(optim_wrapper: OptimWrapper | dict | None) -> list[Optimizer]:
    """Return the optimizers of a runner's wrapper, which may hold several.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> wrapper = OptimWrapper(torch.optim.AdamW([weight]))
        >>> [type(optimizer).__name__ for optimizer in optimizers_of(wrapper)]
        ['AdamW']
    """
    return [wrapper.optimizer for wrapper in wrappers_of(optim_wrapper)]


def wrappers_of(optim_wrapper: OptimWrapper | dict | None) -> list[OptimWrapper]:
    """Return the wrappers of a runner's optimizers: its own, or those that it holds.

    Example:
        >>> wrapper = OptimWrapper(torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3))]))
        >>> wrappers_of(wrapper) == [wrapper]
        True
    """
    assert isinstance(optim_wrapper, OptimWrapper), 'the runner has not built it'
    return list(optim_wrapper.values()) if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]


def saved_optimizers(checkpoint: dict) -> list[dict]:
    """Return the state dicts of a checkpoint's optimizers; the list may be empty.

    Example:
        >>> saved_optimizers(dict(optimizer=dict(state={}, param_groups=[])))
        [{'state': {}, 'param_groups': []}]
    """
    saved = checkpoint.get('optimizer', {})
    return [saved] if 'param_groups' in saved else list(saved.values())


def lay_out_like_parameters(optimizer: Optimizer) -> int:
    """Give the optimizer's running averages the strides of their parameters.

    Loaded averages keep the strides they were saved with. PyTorch's fused optimizers read memory in order: with other
    strides, they refuse on a GPU, and on a CPU they silently pair averages with the wrong weights.

    Args:
        optimizer: The optimizer, which is changed.

    Returns:
        The number of averages whose strides changed.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(4, 3, 2, 2))
        >>> weight.grad = torch.ones_like(weight)
        >>> optimizer = torch.optim.AdamW([weight])
        >>> optimizer.step()
        >>> weight.data = weight.data.to(memory_format=torch.channels_last)
        >>> lay_out_like_parameters(optimizer)
        2
    """
    changed = 0
    for param, state, name in _averages(optimizer):
        average = state[name]
        if average.stride() != param.stride():
            state[name] = torch.empty_strided(
                param.size(), param.stride(), dtype=average.dtype, device=average.device
            ).copy_(average)
            changed += 1
    return changed


def _averages(optimizer: Optimizer) -> Iterator[tuple[Tensor, dict, str]]:
    for param, state in optimizer.state.items():
        for name, value in list(state.items()):
            if isinstance(value, Tensor) and value.dim() and value.shape == param.shape:
                yield param, state, name
