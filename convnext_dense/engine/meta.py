"""Builds models without allocating their weights."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map


class _ReadValuesOnCPU(TorchFunctionMode):
    """A meta tensor has no values, so the small tensors that models read values of are on the CPU.

    These are linspaces, out of which backbones take their drop path rates, and the shapes of feature maps, which
    transformers carry in tensors. Where one meets a meta tensor, its values no longer count.
    """

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        if func is torch.linspace:
            return func(*args, **{'device': 'cpu', **kwargs})
        if func is torch.Tensor.to and args[0].device.type == 'cpu':
            moved = func(*args, **kwargs)
            return args[0].to(moved.dtype) if moved.is_meta else moved
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if any(each.is_meta for each in tensors) and any(_has_values(each) for each in tensors):
            args, kwargs = tree_map(lambda leaf: leaf.to('meta') if _has_values(leaf) else leaf, (args, kwargs))
        return func(*args, **kwargs)


def _has_values(leaf: object) -> bool:
    # A scalar may stay: PyTorch takes it beside tensors of any device.
    return isinstance(leaf, torch.Tensor) and leaf.device.type == 'cpu' and leaf.ndim > 0


@contextmanager
def without_allocating() -> Iterator[None]:
    """Have what is built and computed inside take no memory: new tensors are on PyTorch's meta device.

    Example:
        >>> with without_allocating():
        ...     layer = nn.Linear(10**6, 10**6)
        >>> layer.weight.device.type
        'meta'
    """
    with torch.device('meta'), _ReadValuesOnCPU(), torch.no_grad():
        yield


def build_on_meta(cfg: ConfigDict | dict, scope: str) -> nn.Module:
    """Build a registered model or part of one, in eval mode, without allocating its weights.

    Args:
        cfg: Its config.
        scope: Where types without one are looked for: 'mmdet' or 'mmseg'.

    Example:
        >>> build_on_meta(dict(type='ResNet', depth=50), 'mmdet').conv1.weight.is_meta
        True
    """
    with DefaultScope.overwrite_default_scope(scope), without_allocating():
        # mmdet's models write into the config of their heads.
        model = MODELS.build(copy.deepcopy(cfg))
    # mmdet's backbones return nothing from `train`.
    model.eval()
    return model
