"""Turns a string that names a backbone into the backbone's config."""

import ast
import difflib
import inspect
import re
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from mmengine.registry import MODELS

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta, feature_maps
from convnext_dense.registry import SCOPE
from convnext_dense.weights.published import PUBLISHED

NAME = re.compile(r'(?:(?P<scope>[a-z_]+)/)?(?P<name>[^()/]+)(?:\((?P<arguments>.*)\))?', re.DOTALL)
CONVNEXT = re.compile(r'convnext(?P<v2>v2)?_(?P<arch>[a-z]+)(?:_.+)?')
TIMM = 'timm'
SCOPES = (TIMM, SCOPE, 'mmdet', 'mmseg', 'mmpretrain')
STRIDES = (4, 8, 16, 32)
# If a ConvNeXt's name has no data, it means the first of these that is published.
DEFAULT_DATA = ('_in1k', '_fcmae_in1k', '_in22k')
# The weights that mmdet's own configs start from.
SWIN_TINY = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth'
# The arguments that change no shape of these weights.
SAME_SWIN = {'drop_path_rate', 'drop_rate', 'attn_drop_rate', 'with_cp', 'frozen_stages', 'out_indices'}
SAME_RESNET = {'depth', 'with_cp', 'frozen_stages', 'out_indices', 'norm_eval', 'norm_cfg', 'strides', 'dilations'}
# The mean and the standard deviation of red, green and blue, from 0 to 1.
IMAGENET_NORMALIZATION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP_NORMALIZATION = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class NamedBackbone(NamedTuple):
    """A backbone's config, and the normalization that its weights were trained with.

    Args:
        config: ``dict(type=..., ...)``, without ``init_cfg`` if no published weights are known.
        mean: The mean of red, green and blue that images are normalized by, from 0 to 255.
        std: Their standard deviation, from 0 to 255.
        parameters: The arguments that the backbone takes.
    """

    config: dict
    mean: Sequence[float]
    std: Sequence[float]
    parameters: frozenset[str]


class BackboneParts(NamedTuple):
    """What `NamedBackbone` is made of.

    Args:
        config: The config without weights and without what the string has in parentheses.
        weights: The arguments that make the backbone start from published weights.
        arguments: What the string has in parentheses.
        parameters: The arguments that the backbone takes.
        normalization: The weights' mean and standard deviation, from 0 to 1.
    """

    config: dict
    weights: dict
    arguments: dict
    parameters: frozenset[str]
    normalization: tuple[Sequence[float], Sequence[float]] = IMAGENET_NORMALIZATION


def parse_backbone(text: str, strides: Sequence[int] = STRIDES, pretrained: bool = True) -> NamedBackbone:
    """Return the backbone that a string names.

    Args:
        text: ``convnext_base``, ``convnextv2_tiny``, or another name of published weights; ``timm/MODEL`` or
            ``timm/MODEL.TAG``; ``mmdet/CLASS``, ``mmseg/CLASS`` or ``mmpretrain/CLASS``. Arguments may follow, as in
            ``mmdet/ResNet(depth=101)``.
        strides: The strides in pixels of the maps that it must give.
        pretrained: Whether it starts from published weights.

    Raises:
        UsageError: If it names no backbone, or one without these maps.

    Example:
        >>> parse_backbone('convnext_base_in22k').config['init_cfg']
        {'type': 'Pretrained', 'checkpoint': 'convnext_base_in22k'}
        >>> parse_backbone('mmdet/ResNet(depth=18)').config['init_cfg']['checkpoint']
        'torchvision://resnet18'
    """
    match = NAME.fullmatch(text.strip())
    if not match or (match['scope'] and match['scope'] not in SCOPES):
        raise UsageError(
            f'backbone {text}: a backbone is named as convnext_base, convnextv2_tiny, timm/resnet50, '
            f'mmdet/SwinTransformer or mmdet/ResNet(depth=101), with one of {", ".join(SCOPES)} before the slash.'
        )
    arguments = _arguments(text, match['arguments'])
    if match['scope'] is None:
        parts = _convnext(match['name'], strides, arguments)
    elif match['scope'] == TIMM:
        # timm is slow to import, and no other backbone needs it.
        timm_names = import_module('convnext_dense.config.backbone.timm_names')
        parts = timm_names.timm_parts(text, match['name'], arguments, strides)
    else:
        parts = _registered(text, f'{match["scope"]}.{match["name"]}', arguments, strides)
    has_weights = pretrained and arguments.get('init_cfg', True) is not None
    config = {**parts.config, **(parts.weights if has_weights else {}), **parts.arguments}
    # mmdet's ResNets freeze BatchNorm's statistics by default. Without weights, there are none to keep.
    if not config.get('init_cfg') and _takes(config['type'], 'norm_eval'):
        config.setdefault('norm_eval', False)
    mean, std = ([round(255 * value, 3) for value in values] for values in parts.normalization)
    return NamedBackbone(config, mean, std, parts.parameters)


def parameters_of(backbone: type) -> frozenset[str]:
    """Return the names of the arguments of a backbone's class.

    Args:
        backbone: The class.

    Example:
        >>> 'arch' in parameters_of(ConvNeXt)
        True
    """
    return frozenset(inspect.signature(backbone).parameters)


def _takes(kind: str, argument: str) -> bool:
    """Whether a backbone's class, or one that it passes its arguments on to, takes an argument."""
    return any(argument in inspect.signature(base.__init__).parameters for base in MODELS.get(kind).__mro__[:-1])


def _arguments(text: str, source: str | None) -> dict:
    if not source:
        return {}
    try:
        call = ast.parse(f'f({source})', mode='eval').body
        if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError('only key=value is allowed')
        return {keyword.arg: _value(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise UsageError(f'backbone {text}: arguments are written as (depth=101, frozen_stages=1); {error}.') from error


def _value(node: ast.expr) -> object:
    """Return a literal, or a ``dict(key=value)`` as configs write it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(f'{ast.unparse(node)} is no value') from error


def _convnext(name: str, strides: Sequence[int], arguments: dict) -> BackboneParts:
    match = CONVNEXT.fullmatch(name)
    if not match or match['arch'] not in ConvNeXt.arch_settings:
        similar = difflib.get_close_matches(name, [known for known in PUBLISHED if CONVNEXT.fullmatch(known)], n=3)
        hint = f'; similar names are {", ".join(similar)}' if similar else ''
        raise UsageError(
            f'backbone {name}: there is no ConvNeXt of that name{hint}. A name without a slash is convnext_ARCH or '
            f'convnextv2_ARCH with an ARCH of {", ".join(ConvNeXt.arch_settings)}, or a name of published weights '
            '(convnext_dense.weights.published); other backbones are named as timm/resnet50 or mmdet/CLASS.'
        )
    out_indices = [STRIDES.index(stride) for stride in strides if stride in STRIDES]
    if len(out_indices) < len(strides):
        raise UsageError(
            f'backbone {name}: ConvNeXt has maps of stride {", ".join(map(str, STRIDES))}; the config needs '
            f'{", ".join(map(str, strides))}.'
        )
    config: dict = dict(type=f'{SCOPE}.ConvNeXt', arch=match['arch'], out_indices=out_indices)
    if match['v2']:
        config.update(use_grn=True, layer_scale_init_value=0.0)
    else:
        config.update(layer_scale_init_value=1.0)
    size = f'convnext{match["v2"] or ""}_{match["arch"]}'
    of_this_size = [known for known in PUBLISHED if known.startswith(f'{size}_')]
    if name == size:
        default = [name + data for data in DEFAULT_DATA if name + data in PUBLISHED]
        weights = [*default, *of_this_size][:1]
    elif name in PUBLISHED:
        weights = [name]
    else:
        raise UsageError(f'backbone {name}: there are no such weights; those of {size} are {", ".join(of_this_size)}.')
    start = dict(init_cfg=dict(type='Pretrained', checkpoint=weights[0])) if weights else {}
    normalization = CLIP_NORMALIZATION if '_clip_' in name else IMAGENET_NORMALIZATION
    return BackboneParts(config, start, arguments, parameters_of(ConvNeXt), normalization)


def _registered(text: str, kind: str, arguments: dict, strides: Sequence[int]) -> BackboneParts:
    backbone = MODELS.get(kind)
    if backbone is None:
        similar = difflib.get_close_matches(kind.split('.')[1], _registered_names(kind.split('.')[0]), n=3)
        hint = f'; similar names are {", ".join(similar)}' if similar else ''
        raise UsageError(f'backbone {text}: there is no {kind}{hint}.')
    config = dict(type=kind, **arguments)
    parameters = parameters_of(backbone)
    if 'out_indices' in parameters and 'out_indices' not in arguments:
        config['out_indices'] = _out_indices(text, config, strides)
    return BackboneParts(config, _openmmlab_weights(kind, arguments), arguments, parameters)


def _registered_names(package: str) -> set[str]:
    registry = MODELS.children.get(package)
    if registry is None:
        return set()
    # This package's registry imports a module when its name is first asked for.
    return {*registry.module_dict, *getattr(registry, 'modules', ())}


def _out_indices(text: str, config: dict, strides: Sequence[int]) -> list[int]:
    """Return the indices of the maps of these strides, found by building OpenMMLab's backbone with all of its maps."""
    problem: Exception | None = None
    for count in (5, 4, 3):
        try:
            maps = feature_maps(build_on_meta({**config, 'out_indices': tuple(range(count))}))
        except Exception as error:  # noqa: BLE001 - anything that a user's arguments can raise
            problem = error
            continue
        last = {fmap.stride: i for i, fmap in enumerate(maps)}
        if all(stride in last for stride in strides):
            return [last[stride] for stride in strides]
        raise UsageError(
            f'backbone {text}: {config["type"]} has maps of stride {", ".join(map(str, last))}; the config needs '
            f'{", ".join(map(str, strides))}.'
        )
    raise UsageError(f'backbone {text}: {config["type"]} cannot be built: {problem}.') from problem


def _openmmlab_weights(kind: str, arguments: dict) -> dict:
    """Return the arguments that make a backbone of OpenMMLab's start from published weights, if they are known."""
    depth = arguments.get('depth')
    if kind in ('mmdet.ResNet', 'mmseg.ResNet') and isinstance(depth, int) and arguments.keys() <= SAME_RESNET:
        return dict(init_cfg=dict(type='Pretrained', checkpoint=f'torchvision://resnet{depth}'))
    if kind == 'mmdet.SwinTransformer' and arguments.keys() <= SAME_SWIN:
        return dict(convert_weights=True, init_cfg=dict(type='Pretrained', checkpoint=SWIN_TINY))
    return {}
