"""Builds models without allocating their weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.overrides import TorchFunctionMode


class _LinspaceOnCPU(TorchFunctionMode):
    """Backbones read their drop path rates out of a linspace, and a meta tensor has no values."""

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        if func is torch.linspace:
            kwargs = {'device': 'cpu', **kwargs}
        return func(*args, **kwargs)


@contextmanager
def without_allocating() -> Iterator[None]:
    """Have what is built and computed inside take no memory: new tensors are on PyTorch's meta device.

    Example:
        >>> with without_allocating():
        ...     layer = nn.Linear(10**6, 10**6)
        >>> layer.weight.device.type
        'meta'
    """
    with torch.device('meta'), _LinspaceOnCPU(), torch.no_grad():
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
        model = MODELS.build(cfg)
    # mmdet's backbones return nothing from `train`.
    model.eval()
    return model
