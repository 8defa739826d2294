"""Builds models without allocating their weights."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

# What building or running a model ends in when its arguments or its input do not fit it.
MODEL_ERRORS = (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


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


class FeatureMap(NamedTuple):
    """A map of a backbone: its channels, and its stride in pixels."""

    channels: int
    stride: int


def feature_maps(cfg: ConfigDict | dict, scope: str, size: tuple[int, int] = (512, 512)) -> list[FeatureMap]:
    """Return the maps that a backbone gives, found by building and running it without allocating anything.

    Args:
        cfg: The backbone's config.
        scope: Where its type is looked for if it has no scope: 'mmdet' or 'mmseg'.
        size: Height and width in pixels of the image that it is run on.

    Raises:
        ValueError: If it gives something else than maps (N, C, H, W).

    Example:
        >>> feature_maps(dict(type='ResNet', depth=18, out_indices=(2, 3)), 'mmdet')
        [FeatureMap(channels=256, stride=16), FeatureMap(channels=512, stride=32)]
    """
    backbone = build_on_meta(cfg, scope)
    with without_allocating():
        maps = backbone(torch.empty(1, cfg.get('in_channels', 3), *size))
    if not isinstance(maps, list | tuple) or not all(isinstance(each, Tensor) and each.ndim == 4 for each in maps):
        raise ValueError(f'{cfg["type"]} gives no list of maps (N, C, H, W)')
    return [FeatureMap(each.shape[1], round(size[1] / each.shape[3])) for each in maps]
