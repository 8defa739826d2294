"""Fits the channels of a model's neck and heads to another backbone."""

import inspect
import logging
from collections.abc import Iterator, Sequence

import torch
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import FeatureMap, build_on_meta, without_allocating

# The height and width in pixels of the image that backbones, necks and heads are tried on.
PROBE_SIZE = (512, 512)
# They make a pyramid from a plain model's maps. The new backbone makes its own, or does not need one.
PYRAMID_NECKS = ('MultiLevelNeck', 'Feature2Pyramid')


def fit_channels(model: ConfigDict, old: Sequence[FeatureMap], new: Sequence[FeatureMap]) -> bool:
    """Fit `in_channels` of the neck and, if their input changes, of the heads. Then run them on the new maps.

    A neck that makes a pyramid from a plain transformer's maps is removed.

    Args:
        model: The model's config, which is changed. Types without a scope are looked for in the default scope.
        old: The old backbone's maps.
        new: The new backbone's maps, the same number.

    Returns:
        Whether all of the new maps are used, or that is unknown.

    Raises:
        UsageError: If a part cannot be fitted.

    Example:
        >>> model = ConfigDict(neck=dict(type='mmdet.FPN', in_channels=[64, 128], out_channels=32, num_outs=2))
        >>> old, new = [FeatureMap(64, 4), FeatureMap(128, 8)], [FeatureMap(96, 4), FeatureMap(192, 8)]
        >>> fit_channels(model, old, new)
        True
        >>> model.neck.in_channels
        [96, 192]
    """
    before = _through_necks(model, _features(old))
    necks = _as_list(model.get('neck'))
    if necks and bare_type(necks[0].type) in PYRAMID_NECKS:
        model.pop('neck')
    elif necks:
        _fit_part(necks[0], 'model.neck', [fmap.channels for fmap in old], [fmap.channels for fmap in new])
    features = _features(new)
    after = _through_necks(model, features)
    if before is None or after is None:
        return True
    channels = [[x.shape[1] for x in maps] for maps in (before, after)]
    if 'neck' not in model or channels[0] != channels[1]:
        _fit_heads(model, *channels)
    heads = [(f'model.{key}', head) for key in ('decode_head', 'auxiliary_head') for head in _as_list(model.get(key))]
    outputs = [_run(head, where, after) for where, head in heads]
    for (where, head), output in zip(heads, outputs, strict=True):
        if isinstance(output, Tensor) and output.shape[-1] > PROBE_SIZE[1]:
            print_log(
                f'backbone: {where} ({head.type}) makes maps of {output.shape[-1]} px of images of {PROBE_SIZE[1]} px. '
                'Its upsampling is meant for smaller maps, and takes much memory.',
                logger='current',
                level=logging.WARNING,
            )
    if not heads:
        outputs = [after if 'neck' in model else None]
    return any(output is None for output in outputs) or _all_used(features, outputs)


def _as_list(part: ConfigDict | list[ConfigDict] | None) -> list[ConfigDict]:
    return part if isinstance(part, list) else [part] if part else []


def _features(maps: Sequence[FeatureMap]) -> list[Tensor]:
    with without_allocating():
        return [
            torch.empty(1, channels, PROBE_SIZE[0] // stride, PROBE_SIZE[1] // stride).requires_grad_()
            for channels, stride in maps
        ]


def _all_used(features: Sequence[Tensor], outputs: object) -> bool:
    """Whether the outputs depend on all of the features."""
    with without_allocating(), torch.enable_grad():
        sums = [leaf.sum() for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
        return all(grad is not None for grad in torch.autograd.grad(sums, features, allow_unused=True))


def _through_necks(model: ConfigDict, features: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """Return the heads' input. None if a neck needs an operator that only a compiled mmcv has."""
    for i, neck in enumerate(_as_list(model.get('neck'))):
        maps = _run(neck, f'model.neck[{i}]' if i else 'model.neck', features)
        if maps is None:
            return None
        features = maps
    return features


def _run(cfg: ConfigDict, where: str, features: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """Run a neck or a head on the meta device. None if it cannot be run alone."""
    try:
        part = build_on_meta(cfg)
        if _needs_more_than_maps(part):
            return None
        with without_allocating(), torch.enable_grad():
            return part(tuple(features))
    except Exception as error:
        # An operator that only a compiled mmcv has, or that it has for other devices, says nothing about the channels.
        if isinstance(error, NotImplementedError) or 'implementation for device meta not found' in str(error):
            return None
        shapes = ', '.join(str(tuple(x.shape[1:])) for x in features)
        raise UsageError(f'backbone: {where} ({cfg.type}) cannot take maps of {shapes}: {error!r}') from error


def _needs_more_than_maps(part: nn.Module) -> bool:
    required = [
        parameter
        for parameter in inspect.signature(part.forward).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return len(required) > 1


def _fit_heads(model: ConfigDict, old: list[int], new: list[int]) -> None:
    fitted = 0
    for key, part in model.items():
        if key in ('backbone', 'neck', 'data_preprocessor'):
            continue
        for head in _as_list(part if isinstance(part, ConfigDict | list) else None):
            for path, node in _fed(head, f'model.{key}'):
                _fit_part(node, path, old, new)
                fitted += 1
    if not fitted:
        raise UsageError(f'backbone: {model.type} has no part with in_channels that the backbone feeds.')


def _fed(part: object, where: str) -> Iterator[tuple[str, ConfigDict]]:
    """Yield a part that takes the backbone's maps, or the heads inside it that do."""
    if not isinstance(part, ConfigDict):
        return
    if 'in_channels' in part:
        yield where, part
        return
    for key, inner in part.items():
        if isinstance(inner, dict) and 'in_index' in inner:
            yield from _fed(inner, f'{where}.{key}')


def _fit_part(part: ConfigDict, where: str, old: list[int], new: list[int]) -> None:
    in_channels = part.get('in_channels')
    fitted = None
    if isinstance(in_channels, int):
        index = part.get('in_index', -1)
        if isinstance(index, int) and -len(old) <= index < len(old) and old[index] == in_channels:
            fitted = new[index]
    elif in_channels is not None:
        fitted = _fit_list(list(in_channels), part.get('in_index'), old, new)
        # JPU requires a tuple.
        fitted = fitted and type(in_channels)(fitted)
    if fitted is None:
        raise UsageError(
            f'backbone: {where} ({part.get("type")}) cannot be fitted to another backbone: its in_channels are '
            f'{in_channels}, and the old backbone gives {old}.'
        )
    part.in_channels = fitted
    # SSD's neck hands its input on, followed by maps of its own.
    if bare_type(part.get('type')) == 'SSDNeck':
        part.out_channels = fitted + part.out_channels[len(fitted) :]
    # DeepLabV3+ also takes the first map.
    if part.get('c1_in_channels'):
        part.c1_in_channels = new[0]


def _fit_list(in_channels: list[int], in_index: Sequence[int] | None, old: list[int], new: list[int]) -> list | None:
    if in_index is not None and all(i < len(old) for i in in_index):
        return [new[i] for i in in_index] if [old[i] for i in in_index] == in_channels else None
    if in_channels == old[::-1]:
        return new[::-1]
    # Some necks, such as JPU, skip the first maps.
    return new[-len(in_channels) :] if in_channels == old[-len(in_channels) :] else None
