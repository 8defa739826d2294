"""Describes a timm model as a backbone, without allocating its weights."""

import difflib
import fnmatch
import inspect
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import timm
import torch
from timm.models import group_parameters
from timm.optim import auto_group_layers
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convnext_dense.errors import describe as describe_error
from convnext_dense.meta_device import without_allocating

# Replaces a plain model's patch size that is no power of 2. timm resamples the patch embedding's weights.
RESAMPLED_PATCH_SIZE = 16
# What a model is created with if it has these arguments: any image size, and no stochastic depth.
OPTIONAL_ARGUMENTS = (
    {'dynamic_img_size': True, 'drop_path_rate': 0.0},
    {'drop_path_rate': 0.0},
    {'dynamic_img_size': True},
)
# A swap of backbones and the model that is built after it describe the same backbone.
_DESCRIBED: dict[tuple, 'TimmModel'] = {}


class TimmModel(NamedTuple):
    """A timm model as a backbone.

    Args:
        arguments: The arguments of `timm.create_model`, without the name and without ``drop_path_rate``.
        model: The model on the meta device, in eval mode, without stochastic depth and without what no map needs.
        features: The index, in timm's count, of each map that is taken.
        strides: The strides of these maps in pixels.
        channels: Their channels.
        is_plain: Whether all of the model's maps have one stride. Then only the last is taken.
        has_layer_norm: Whether the model has LayerNorm.
        has_batch_norm: Whether it has BatchNorm.
        has_drop_path: Whether it takes ``drop_path_rate``.
        can_checkpoint: Whether it can recompute activations in the backward pass.
        stages: The names of the modules that end each stage, or of a plain model's blocks.
        layer_ids: Each parameter's layer id for learning-rate decay, by timm's own grouping, from 0.
        num_layers: The number of layers, including the head.
        no_weight_decay: The parameters that the model exempts from weight decay.
        size_divisor: An image's height and width must be multiples of this many pixels; None if `fixed_size` is set.
        fixed_size: The only height and width that the model takes, in pixels.
    """

    arguments: dict
    model: nn.Module
    features: tuple[int, ...]
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    is_plain: bool
    has_layer_norm: bool
    has_batch_norm: bool
    has_drop_path: bool
    can_checkpoint: bool
    stages: tuple[str, ...]
    layer_ids: dict[str, int]
    num_layers: int
    no_weight_decay: frozenset[str]
    size_divisor: int | None
    fixed_size: tuple[int, int] | None


def describe(model_name: str, arguments: dict, strides: Sequence[int]) -> TimmModel:
    """Describe a timm model as a backbone.

    Args:
        model_name: timm's name, such as 'resnet50' or 'vit_small_patch16_224.augreg_in1k'.
        arguments: Arguments of `timm.create_model` other than ``drop_path_rate``, such as ``dict(in_chans=3)``.
        strides: The strides of the wanted maps in pixels. Of a plain model, its only map is described.

    Raises:
        ValueError: If timm has no such model, or the model rejects the arguments or has no maps of these strides.

    Example:
        >>> described = describe('resnet18', {}, (8, 16))
        >>> described.features, described.channels, described.size_divisor
        ((2, 3), (128, 256), 16)
    """
    arguments = {'in_chans': 3, **arguments}
    key = (model_name, repr(sorted(arguments.items())), tuple(strides))
    if key not in _DESCRIBED:
        _DESCRIBED[key] = _describe(model_name, arguments, strides)
    return _DESCRIBED[key]


def _describe(model_name: str, arguments: dict, strides: Sequence[int]) -> TimmModel:
    _check_name(model_name)
    model, arguments = _create_flexible(model_name, {**arguments, 'num_classes': 1})
    reductions = _infos(model, 'reduction')
    is_plain = len(set(reductions)) == 1
    if is_plain and not _is_power_of_2(reductions[0]):
        arguments['patch_size'] = RESAMPLED_PATCH_SIZE
        try:
            model = _create(model_name, arguments)
        except ValueError as error:
            raise ValueError(
                f'{model_name}: its maps have a stride of {reductions[0]} pixels, which no pyramid of strides '
                f'{", ".join(map(str, strides))} can be made of.'
            ) from error
        reductions = _infos(model, 'reduction')
    features = _features(model_name, reductions, strides, is_plain)
    stages = _stages(_infos(model, 'module'), reductions, is_plain)
    norms = [any(isinstance(module, norm) for module in model.modules()) for norm in (nn.LayerNorm, _BatchNorm)]
    # timm groups a model with its classifier, whose layer is the head's.
    layer_ids = _layer_ids(model)
    # An unpruned model has parameters that no map depends on, for which distributed training would wait.
    prune(model, features, is_plain)
    taken = tuple(reductions[i] for i in features)
    own_size = _own_size(model, arguments.get('img_size'))
    probe = _Probe(model_name, model, features, taken, is_plain, arguments['in_chans'], own_size)
    divisor, fixed_size, channels = _sizes(probe, math.lcm(*strides, *taken))
    has_drop_path = arguments.pop('drop_path_rate', None) is not None
    return TimmModel(
        arguments={**arguments, 'num_classes': 0},
        model=model,
        features=features,
        strides=taken,
        channels=channels,
        is_plain=is_plain,
        has_layer_norm=norms[0],
        has_batch_norm=norms[1],
        has_drop_path=has_drop_path,
        can_checkpoint=_can_checkpoint(model),
        stages=stages,
        layer_ids=layer_ids,
        num_layers=max(layer_ids.values()) + 1,
        no_weight_decay=_no_weight_decay(model),
        size_divisor=divisor,
        fixed_size=fixed_size,
    )


def prune(model: nn.Module, features: Sequence[int], is_plain: bool) -> None:
    """Remove the classifier of a timm model, and what follows its last map. A plain model keeps its final norm."""
    model.prune_intermediate_layers(list(features), prune_norm=not is_plain, prune_head=True)


def forward_features(model: nn.Module, x: Tensor, features: Sequence[int], is_plain: bool) -> list[Tensor]:
    """Return the maps of a timm model. A plain model's map passes the model's final norm.

    Args:
        model: The model.
        x: Images (N, C, H, W).
        features: The maps' indices, in timm's count.
        is_plain: Whether all of the model's maps have one stride.

    Returns:
        Tensors (N, channels, H / s, W / s), one per map.
    """
    return model.forward_intermediates(
        x, indices=list(features), norm=is_plain, output_fmt='NCHW', intermediates_only=True
    )


def _check_name(name: str) -> None:
    architecture, _, tag = name.partition('.')
    if not timm.is_model(architecture):
        similar = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        hint = f'; similar ones are {", ".join(similar)}' if similar else ''
        raise ValueError(f'timm {timm.__version__} has no model {architecture!r}{hint}.')
    if tag and not timm.is_model_pretrained(name):
        tags = [published.partition('.')[2] for published in timm.list_pretrained(f'{architecture}.*')]
        raise ValueError(
            f'timm has no weights {tag!r} of {architecture}; it has {", ".join(tags) if tags else "none of it"}.'
        )


def _create(name: str, arguments: dict) -> nn.Module:
    try:
        with without_allocating():
            model = timm.create_model(name, **arguments)
    except Exception as error:  # whatever a model raises of a value that it was not written for
        given = ', '.join(f'{key}={value!r}' for key, value in arguments.items() if key != 'num_classes')
        raise ValueError(f'timm cannot build {name} with {given}: {describe_error(error)}.') from error
    model.eval()
    return model


def _create_flexible(name: str, arguments: dict) -> tuple[nn.Module, dict]:
    """Create a model with those of `OPTIONAL_ARGUMENTS` that it has; return it and all of its arguments.

    Only the model itself knows its class, and with it its arguments. A class rejects an argument before it builds
    anything, so a failed attempt takes no time.
    """
    for optional in OPTIONAL_ARGUMENTS:
        with suppress(ValueError):
            model = _create(name, {**optional, **arguments})
            # Some classes accept any argument, and do nothing with it.
            if 'dynamic_img_size' not in optional or 'dynamic_img_size' in inspect.signature(type(model)).parameters:
                return model, {**optional, **arguments}
    return _create(name, arguments), arguments


def _features(name: str, reductions: list[int], strides: Sequence[int], is_plain: bool) -> tuple[int, ...]:
    if is_plain:
        return (len(reductions) - 1,)
    last = {reduction: i for i, reduction in enumerate(reductions)}
    missing = [stride for stride in strides if stride not in last]
    if missing:
        raise ValueError(
            f'{name} has no map of stride {", ".join(map(str, missing))}; it has maps of stride '
            f'{", ".join(map(str, last))}. out_indices i asks for stride 4 * 2**i.'
        )
    return tuple(last[stride] for stride in strides)


def _stages(modules: list[str], reductions: list[int], is_plain: bool) -> tuple[str, ...]:
    if is_plain:
        return tuple(modules)
    return tuple({stride: name for stride, name in zip(reductions, modules, strict=True) if stride >= 4}.values())


def _infos(model: nn.Module, key: str) -> list:
    """Return what timm says of each of a model's maps: its ``reduction``, which is the stride, or its ``module``."""
    assert isinstance(model.feature_info, list)
    return [info[key] for info in model.feature_info]


def _own_size(model: nn.Module, asked_for: int | Sequence[int] | None) -> tuple[int, int]:
    """Return the height and width in pixels that a model is built for."""
    if isinstance(asked_for, int):
        return asked_for, asked_for
    size = asked_for or getattr(getattr(model, 'patch_embed', None), 'img_size', None)
    height, width = map(int, size or model.pretrained_cfg['input_size'][-2:])
    return height, width


class _Probe(NamedTuple):
    """A pruned model on the meta device, and the maps that are asked of it."""

    name: str
    model: nn.Module
    features: tuple[int, ...]
    strides: tuple[int, ...]
    is_plain: bool
    in_channels: int
    own_size: tuple[int, int]

    def channels(self, height: int, width: int) -> tuple[int, ...]:
        """Return the channels of the maps of an image of this size. ValueError if the model cannot take it."""
        try:
            with without_allocating():
                image = torch.empty(1, self.in_channels, height, width)
                maps = forward_features(self.model, image, self.features, self.is_plain)
        except Exception as error:
            raise ValueError(f'for an image of {height} x {width} it says {error!r}') from error
        if any(x.shape[-2:] != (height // s, width // s) for x, s in zip(maps, self.strides, strict=True)):
            shapes = ', '.join(f'{x.shape[-2]} x {x.shape[-1]}' for x in maps)
            raise ValueError(f'an image of {height} x {width} gives maps of {shapes}')
        return tuple(x.shape[1] for x in maps)


def _sizes(probe: _Probe, multiple: int) -> tuple[int | None, tuple[int, int] | None, tuple[int, ...]]:
    """Return the divisor or the fixed size of images, and the maps' channels, by running images of several sizes."""
    own_size = probe.own_size
    for divisor in (multiple, 2 * multiple, math.lcm(*own_size, multiple)):
        with suppress(ValueError):
            return divisor, None, probe.channels(2 * divisor, 3 * divisor)
    try:
        return None, own_size, probe.channels(*own_size)
    except ValueError as error:
        strides = ', '.join(map(str, probe.strides))
        raise ValueError(f'{probe.name} cannot be a backbone with maps of stride {strides}: {error}.') from error


def _layer_ids(model: nn.Module) -> dict[str, int]:
    """Return timm's layer id of each parameter, as its `param_groups_layer_decay` does."""
    if hasattr(model, 'group_matcher'):
        # Only without `reverse` does timm return lists of names.
        return group_parameters(model, model.group_matcher(coarse=False), reverse=True)  # pyrefly: ignore[bad-return]
    return auto_group_layers(model)


def _no_weight_decay(model: nn.Module) -> frozenset[str]:
    patterns = model.no_weight_decay() if hasattr(model, 'no_weight_decay') else ()
    names = [name for name, _ in model.named_parameters()]
    return frozenset(name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns))


def _can_checkpoint(model: nn.Module) -> bool:
    try:
        model.set_grad_checkpointing(True)
    except (AssertionError, AttributeError, NotImplementedError):
        return False
    model.set_grad_checkpointing(False)
    return True


def _is_power_of_2(value: int) -> bool:
    return value & (value - 1) == 0
