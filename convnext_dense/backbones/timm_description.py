"""Finds out what a timm model gives as a backbone, without allocating its weights."""

import difflib
import fnmatch
import inspect
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import timm
import torch
from timm.models import clean_state_dict, group_parameters
from timm.optim import auto_group_layers
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convnext_dense.meta_device import MODEL_ERRORS, without_allocating

# The patch of a plain model whose own is no power of 2; timm resamples its patch embedding.
PATCH = 16
# A swap of backbones asks for the same model several times, and one takes a second.
_DESCRIBED: dict[tuple, 'TimmModel'] = {}


class TimmModel(NamedTuple):
    """A timm model as a backbone.

    Args:
        arguments: What `timm.create_model` is called with, besides the name.
        features: The index, in timm's count, of each map that is taken.
        strides: The strides of these maps in pixels.
        channels: Their channels.
        is_plain: Whether all of the model's maps have one stride; then the last is taken alone.
        has_layer_norm: Whether the model has LayerNorm.
        has_batch_norm: Whether it has BatchNorm.
        stages: The names of the modules that end each stage, or of a plain model's blocks.
        layer_ids: Each parameter's step for learning-rate decay, by timm's own grouping, from 0.
        num_layers: The steps, the head's included.
        no_weight_decay: The parameters that the model wants no weight decay for.
        size_divisor: What the height and the width of an image must be multiples of, in pixels; None for `fixed_size`.
        fixed_size: The only height and width that the model takes, in pixels.
    """

    arguments: dict
    features: tuple[int, ...]
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    is_plain: bool
    has_layer_norm: bool
    has_batch_norm: bool
    stages: tuple[str, ...]
    layer_ids: dict[str, int]
    num_layers: int
    no_weight_decay: frozenset[str]
    size_divisor: int | None
    fixed_size: tuple[int, int] | None


def describe(model_name: str, arguments: dict, strides: Sequence[int]) -> TimmModel:
    """Return what a timm model gives as a backbone.

    Args:
        model_name: timm's name, such as 'resnet50' or 'vit_small_patch16_224.augreg_in1k'.
        arguments: Arguments of `timm.create_model`, such as ``dict(in_chans=3)``.
        strides: The strides in pixels of the maps that are wanted; of a plain model its only map is described.

    Raises:
        ValueError: If timm has no such model, it does not take the arguments, or has no maps of these strides.

    Example:
        >>> described = describe('resnet18', {}, (8, 16))
        >>> described.features, described.channels, described.size_divisor
        ((2, 3), (128, 256), 16)
    """
    key = (model_name, repr(sorted(arguments.items())), tuple(strides))
    if key not in _DESCRIBED:
        _DESCRIBED[key] = _describe(model_name, arguments, strides)
    return _DESCRIBED[key]


def _describe(model_name: str, arguments: dict, strides: Sequence[int]) -> TimmModel:
    _check_name(model_name)
    arguments = {'num_classes': 0, **arguments}
    try:
        model = _create(model_name, arguments)
    except ValueError:
        # Some models have no drop path, and others have some unless they are told.
        if arguments.pop('drop_path_rate', None) != 0:
            raise
        model = _create(model_name, arguments)
    if 'dynamic_img_size' in inspect.signature(type(model).__init__).parameters:
        arguments = {'dynamic_img_size': True, **arguments}
        model = _create(model_name, arguments)
    reductions = [each['reduction'] for each in model.feature_info]
    is_plain = len(set(reductions)) == 1
    if is_plain and not _is_power_of_2(reductions[0]):
        try:
            model = _create(model_name, {**arguments, 'patch_size': PATCH})
        except ValueError as error:
            raise ValueError(
                f'{model_name}: its maps have a stride of {reductions[0]} pixels, which no pyramid of strides '
                f'{", ".join(map(str, strides))} can be made of.'
            ) from error
        arguments = {**arguments, 'patch_size': PATCH}
        reductions = [each['reduction'] for each in model.feature_info]
    features = _features(model_name, reductions, strides, is_plain)
    stages = _stages([each['module'] for each in model.feature_info], reductions, is_plain)
    norms = tuple(any(isinstance(each, norm) for each in model.modules()) for norm in (nn.LayerNorm, _BatchNorm))
    # Without pruning, parameters that no map depends on would stay, and hold up distributed training.
    model.prune_intermediate_layers(list(features), prune_norm=not is_plain, prune_head=True)
    taken = tuple(reductions[i] for i in features)
    own = _own_size(model, arguments.get('img_size'))
    probe = _Probe(model_name, model, features, taken, is_plain, arguments.get('in_chans', 3), own)
    divisor, fixed_size, channels = _sizes(probe, math.lcm(*strides, *taken))
    layer_ids = _layer_ids(_create(model_name, {**arguments, 'num_classes': 1}))
    return TimmModel(
        arguments=arguments,
        features=features,
        strides=taken,
        channels=channels,
        is_plain=is_plain,
        has_layer_norm=norms[0],
        has_batch_norm=norms[1],
        stages=stages,
        layer_ids=layer_ids,
        num_layers=max(layer_ids.values()) + 1,
        no_weight_decay=_no_weight_decay(model),
        size_divisor=divisor,
        fixed_size=fixed_size,
    )


def create(model_name: str, described: TimmModel, weights: dict[str, Tensor] | None = None) -> nn.Module:
    """Create a described model without its classifier and what follows its last map.

    Args:
        model_name: timm's name.
        described: What `describe` returned of it.
        weights: A state dict of the whole model, with the classifier if it has one, in the names that timm publishes.
            timm resamples patch and positional embeddings, and adapts the stem to other input channels.

    Raises:
        RuntimeError: If the weights are not all of the model's, and the model's alone.

    Example:
        >>> create('resnet18', describe('resnet18', {}, (8, 16))).layer4
        Sequential()
    """
    pretrained = {}
    if weights is not None:
        weights = clean_state_dict(weights)
        # timm loads leniently where the classifier's size is not the weights'.
        overlay = dict(state_dict=weights, num_classes=_num_classes(model_name, weights))
        pretrained = dict(pretrained=True, pretrained_cfg_overlay=overlay, num_classes=overlay['num_classes'])
    model = timm.create_model(model_name, **{**described.arguments, **pretrained})
    model.prune_intermediate_layers(list(described.features), prune_norm=not described.is_plain, prune_head=True)
    return model


def maps_of(model: nn.Module, x: Tensor, features: Sequence[int], is_plain: bool) -> list[Tensor]:
    """Return a timm model's maps, (N, C, H / s, W / s) each, of images (N, C, H, W); a plain model's pass its norm."""
    return model.forward_intermediates(
        x, indices=list(features), norm=is_plain, output_fmt='NCHW', intermediates_only=True
    )


def _num_classes(model_name: str, weights: dict[str, Tensor]) -> int:
    cfg = timm.get_pretrained_cfg(model_name)
    classifiers = (cfg and cfg.classifier) or ()
    names = [f'{each}.weight' for each in ([classifiers] if isinstance(classifiers, str) else classifiers)]
    return next((weights[name].shape[0] for name in names if name in weights), 0)


def _check_name(name: str) -> None:
    architecture, _, tag = name.partition('.')
    if not timm.is_model(architecture):
        similar = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        hint = f'; similar ones are {", ".join(similar)}' if similar else ''
        raise ValueError(f'timm {timm.__version__} has no model {architecture!r}{hint}.')
    tags = [each.partition('.')[2] for each in timm.list_pretrained(f'{architecture}.*')]
    if tag and tag not in tags:
        raise ValueError(
            f'timm has no weights {tag!r} of {architecture}; it has {", ".join(tags) if tags else "none of it"}.'
        )


def _create(name: str, arguments: dict) -> nn.Module:
    try:
        with without_allocating():
            model = timm.create_model(name, **arguments)
    except (TypeError, AssertionError) as error:
        given = ', '.join(f'{key}={value!r}' for key, value in arguments.items() if key != 'num_classes')
        raise ValueError(f'timm cannot build {name} with {given}: {error}.') from error
    model.eval()
    return model


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


def _own_size(model: nn.Module, asked_for: int | Sequence[int] | None) -> tuple[int, int]:
    """Return the height and width in pixels that a model is built for."""
    if isinstance(asked_for, int):
        return asked_for, asked_for
    size = asked_for or getattr(getattr(model, 'patch_embed', None), 'img_size', None)
    return tuple(size or model.pretrained_cfg['input_size'][-2:])


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
        """Return the channels of the maps of an image of this size; ValueError if the model cannot take it."""
        try:
            with without_allocating():
                image = torch.empty(1, self.in_channels, height, width)
                maps = maps_of(self.model, image, self.features, self.is_plain)
        except MODEL_ERRORS as error:
            raise ValueError(f'for an image of {height} x {width} it says {error!r}') from error
        if any(each.shape[-2:] != (height // s, width // s) for each, s in zip(maps, self.strides, strict=True)):
            shapes = ', '.join(f'{each.shape[-2]} x {each.shape[-1]}' for each in maps)
            raise ValueError(f'an image of {height} x {width} gives maps of {shapes}')
        return tuple(each.shape[1] for each in maps)


def _sizes(probe: _Probe, multiple: int) -> tuple[int | None, tuple[int, int] | None, tuple[int, ...]]:
    """Return the divisor or the fixed size of images, and the maps' channels, by trying images that have no values."""
    own = probe.own_size
    for divisor in (multiple, 2 * multiple, math.lcm(*own, multiple)):
        with suppress(ValueError):
            return divisor, None, probe.channels(2 * divisor, 3 * divisor)
    try:
        return None, own, probe.channels(*own)
    except ValueError as error:
        strides = ', '.join(map(str, probe.strides))
        raise ValueError(f'{probe.name} cannot be a backbone with maps of stride {strides}: {error}.') from error


def _layer_ids(model: nn.Module) -> dict[str, int]:
    """Return timm's step of each parameter, as its `param_groups_layer_decay` does."""
    if hasattr(model, 'group_matcher'):
        return group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    return auto_group_layers(model)


def _no_weight_decay(model: nn.Module) -> frozenset[str]:
    patterns = model.no_weight_decay() if hasattr(model, 'no_weight_decay') else ()
    names = [name for name, _ in model.named_parameters()]
    return frozenset(name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns))


def _is_power_of_2(value: int) -> bool:
    return value & (value - 1) == 0
