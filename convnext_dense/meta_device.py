"""Builds and runs models without allocating their weights."""

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

# What initializers consist of. PyTorch takes up to a millisecond for each on a meta tensor, and changes nothing.
INITIALIZER_STEPS = {
    *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_),
    *(Tensor.erfinv_, Tensor.mul_, Tensor.add_, Tensor.clamp_),
}


class _MetaMode(TorchFunctionMode):
    """Reads values on the CPU, and skips initializers.

    Meta tensors have no values, so small tensors whose values models read are created on the CPU: the linspaces that
    backbones take their drop path rates from, and the shapes of feature maps that transformers keep in tensors. Where
    such a tensor meets a meta tensor, its values no longer matter.
    """

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        if func is torch.linspace:
            return func(*args, **{'device': 'cpu', **kwargs})
        if func in INITIALIZER_STEPS or getattr(func, '__module__', None) == 'torch.nn.init':
            filled, *operands = *args, *kwargs.values()
            if filled.is_meta and not any(isinstance(operand, Tensor) for operand in operands):
                return filled
        if func is Tensor.to and args[0].device.type == 'cpu':
            moved = func(*args, **kwargs)
            return args[0].to(moved.dtype) if moved.is_meta else moved
        tensors = [*_tensors(args), *_tensors(kwargs.values())]
        if any(_has_values(tensor) for tensor in tensors) and any(tensor.is_meta for tensor in tensors):
            args, kwargs = tree_map(lambda leaf: leaf.to('meta') if _has_values(leaf) else leaf, (args, kwargs))
        return func(*args, **kwargs)


def _tensors(arguments: Iterable) -> Iterator[Tensor]:
    for argument in arguments:
        if isinstance(argument, Tensor):
            yield argument
        elif isinstance(argument, list | tuple):
            yield from _tensors(argument)


def _has_values(leaf: object) -> bool:
    # A scalar may stay: PyTorch combines it with tensors of any device.
    return isinstance(leaf, Tensor) and not leaf.is_meta and leaf.device.type == 'cpu' and leaf.ndim > 0


@contextmanager
def without_allocating() -> Generator[None]:
    """Build and compute on PyTorch's meta device, where tensors have shapes and take no memory.

    Example:
        >>> with without_allocating():
        ...     layer = nn.Linear(10**6, 10**6)
        >>> layer.weight.device.type
        'meta'
    """
    with torch.device('meta'), _MetaMode(), torch.no_grad():
        yield


def build_on_meta(cfg: ConfigDict | dict, scope: str | None = None) -> nn.Module:
    """Build a registered model or part of one, in eval mode, without allocating its weights.

    Args:
        cfg: Its config.
        scope: Where types without a scope are looked for: 'mmdet' or 'mmseg'. Defaults to the current default scope.

    Example:
        >>> build_on_meta(dict(type='ResNet', depth=50), 'mmdet').conv1.weight.is_meta
        True
    """
    with DefaultScope.overwrite_default_scope(scope), without_allocating():
        # mmdet's models write into the config of their heads.
        model = MODELS.build(copy.deepcopy(cfg))
    _move_parameters(model)
    # mmdet's backbones return nothing from `train`.
    model.eval()
    return model


def _move_parameters(model: nn.Module) -> None:
    """Move parameters to the meta device that were made by ``torch.Tensor(...)``, which ignores the device."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and not parameter.is_meta:
                moved = nn.Parameter(torch.empty_like(parameter, device='meta'), parameter.requires_grad)
                setattr(module, name, moved)


class FeatureMap(NamedTuple):
    """A map of a backbone: its channels, and its stride in pixels."""

    channels: int
    stride: int


def feature_maps(backbone: nn.Module, size: tuple[int, int] = (512, 512), in_channels: int = 3) -> list[FeatureMap]:
    """Run a backbone of the meta device, and return the maps that it gives.

    Args:
        backbone: What `build_on_meta` returned.
        size: Height and width of the image in pixels.
        in_channels: Channels of the image.

    Raises:
        ValueError: If it gives anything other than maps (N, C, H, W).

    Example:
        >>> feature_maps(build_on_meta(dict(type='ResNet', depth=18, out_indices=(2, 3)), 'mmdet'))
        [FeatureMap(channels=256, stride=16), FeatureMap(channels=512, stride=32)]
    """
    with without_allocating():
        maps = backbone(torch.empty(1, in_channels, *size))
    if not isinstance(maps, list | tuple) or not all(isinstance(x, Tensor) and x.ndim == 4 for x in maps):
        raise ValueError(f'{type(backbone).__name__} gives no list of maps (N, C, H, W)')
    return [FeatureMap(x.shape[1], round(size[1] / x.shape[3])) for x in maps]
