"""Turns one string that names a backbone into the backbone's config."""

import ast
import difflib
import inspect
import re
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.registry import MODELS
from timm import get_pretrained_cfg
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from convnext_dense.backbones import ConvNeXt, TimmBackbone
from convnext_dense.backbones.timm_backbone import timm_weights
from convnext_dense.backbones.timm_description import describe
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import MODEL_ERRORS, feature_maps
from convnext_dense.registry import SCOPE
from convnext_dense.weights.published import PUBLISHED

NAME = re.compile(r'(?:(?P<scope>[a-z_]+)/)?(?P<name>[^()/]+)(?:\((?P<arguments>.*)\))?', re.DOTALL)
CONVNEXT = re.compile(r'convnext(?P<v2>v2)?_(?P<arch>[a-z]+)(?:_.+)?')
TIMM = 'timm'
SCOPES = (TIMM, SCOPE, 'mmdet', 'mmseg', 'mmpretrain')
STRIDES = (4, 8, 16, 32)
# Where a ConvNeXt's name does not say the data it was trained on, the first of these that is published.
DEFAULT_DATA = ('_in1k', '_fcmae_in1k', '_in22k')
# The weights that mmdet's own configs start from.
SWIN_TINY = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth'
# The arguments with which these weights fit a backbone as well.
SAME_SWIN = {'drop_path_rate', 'drop_rate', 'attn_drop_rate', 'with_cp', 'frozen_stages', 'out_indices'}
SAME_RESNET = {'depth', 'with_cp', 'frozen_stages', 'out_indices', 'norm_eval', 'norm_cfg', 'strides', 'dilations'}


class NamedBackbone(NamedTuple):
    """A backbone's config, and the colours that its weights were trained on.

    Args:
        config: ``dict(type=..., ...)``; without ``init_cfg`` where no published weights are known.
        mean: What images are normalised by: the mean of red, green and blue, from 0 to 255.
        std: Their standard deviation, from 0 to 255.
    """

    config: dict
    mean: Sequence[float]
    std: Sequence[float]


def parse_backbone(
    text: str, strides: Sequence[int] = (4, 8, 16, 32), scope: str = 'mmdet', pretrained: bool = True
) -> NamedBackbone:
    """Return the backbone that a string names.

    Args:
        text: ``convnext_base``, ``convnextv2_tiny``, or another name of published weights; ``timm/MODEL`` or
            ``timm/MODEL.TAG``; ``mmdet/CLASS``, ``mmseg/CLASS`` or ``mmpretrain/CLASS``; each with arguments behind it
            if need be, as in ``mmdet/ResNet(depth=101)``.
        strides: The strides in pixels of the maps that it shall give.
        scope: The scope of the config that it is for: 'mmdet' or 'mmseg'.
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
            f'--backbone {text}: a backbone is named as convnext_base, convnextv2_tiny, timm/resnet50, '
            f'mmdet/SwinTransformer or mmdet/ResNet(depth=101), with one of {", ".join(SCOPES)} before the slash.'
        )
    arguments = _arguments(text, match['arguments'])
    if match['scope'] is None:
        parts = _convnext(match['name'], strides, arguments)
    elif match['scope'] == TIMM:
        parts = _timm(text, match['name'], arguments, strides)
    else:
        parts = _registered(text, f'{match["scope"]}.{match["name"]}', arguments, strides, scope)
    starts = pretrained and arguments.get('init_cfg', True) is not None
    config = {**parts.config, **(parts.weights if starts else {}), **parts.arguments}
    # mmdet's ResNets keep BatchNorm's statistics unless they are told; without weights there are none to keep.
    if not config.get('init_cfg') and _takes(config['type'], 'norm_eval'):
        config.setdefault('norm_eval', False)
    return NamedBackbone(config, *([round(255 * each, 3) for each in colours] for colours in parts.colours))


class _Parts(NamedTuple):
    """What a name says: the config, what makes it start from weights, the arguments, and the weights' mean and std."""

    config: dict
    weights: dict
    arguments: dict
    colours: tuple[Sequence[float], Sequence[float]] = (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


def _takes(kind: str, argument: str) -> bool:
    """Whether a backbone's class, or one that it passes its arguments on to, takes an argument."""
    return any(argument in inspect.signature(each.__init__).parameters for each in MODELS.get(kind).__mro__[:-1])


def _arguments(text: str, source: str | None) -> dict:
    if not source:
        return {}
    try:
        call = ast.parse(f'f({source})', mode='eval').body
        if not isinstance(call, ast.Call) or call.args or any(each.arg is None for each in call.keywords):
            raise ValueError('only key=value is allowed')
        return {each.arg: _value(each.value) for each in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f'--backbone {text}: arguments are written as (depth=101, frozen_stages=1); {error}.'
        ) from error


def _value(node: ast.expr) -> object:
    """Return a literal, or a ``dict(key=value)`` as configs write it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {each.arg: _value(each.value) for each in node.keywords}
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(f'{ast.unparse(node)} is no value') from error


def _convnext(name: str, strides: Sequence[int], arguments: dict) -> _Parts:
    match = CONVNEXT.fullmatch(name)
    if not match or match['arch'] not in ConvNeXt.arch_settings:
        similar = difflib.get_close_matches(name, [each for each in PUBLISHED if CONVNEXT.fullmatch(each)], n=3)
        hint = f'; similar names are {", ".join(similar)}' if similar else ''
        raise UsageError(
            f'--backbone {name}: there is no ConvNeXt of that name{hint}. A name without a slash is convnext_ARCH or '
            f'convnextv2_ARCH with an ARCH of {", ".join(ConvNeXt.arch_settings)}, or a name of published weights '
            '(tools/inspect_checkpoint.py --names); other backbones are named as timm/resnet50 or mmdet/CLASS.'
        )
    out_indices = [STRIDES.index(stride) for stride in strides if stride in STRIDES]
    if len(out_indices) < len(strides):
        raise UsageError(
            f'--backbone {name}: ConvNeXt has maps of stride {", ".join(map(str, STRIDES))}; the config needs '
            f'{", ".join(map(str, strides))}.'
        )
    config = dict(type=f'{SCOPE}.ConvNeXt', arch=match['arch'], out_indices=out_indices)
    if match['v2']:
        config.update(use_grn=True, layer_scale_init_value=0.0)
    else:
        config.update(layer_scale_init_value=1.0)
    size = f'convnext{match["v2"] or ""}_{match["arch"]}'
    if name == size:
        known = [name + data for data in DEFAULT_DATA if name + data in PUBLISHED]
        weights = [*known, *(each for each in PUBLISHED if each.startswith(f'{size}_'))][:1]
    elif name in PUBLISHED:
        weights = [name]
    else:
        similar = [each for each in PUBLISHED if each.startswith(f'{size}_')]
        raise UsageError(f'--backbone {name}: there are no such weights; those of {size} are {", ".join(similar)}.')
    start = dict(init_cfg=dict(type='Pretrained', checkpoint=weights[0])) if weights else {}
    if '_clip_' in name:
        return _Parts(config, start, arguments, (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return _Parts(config, start, arguments)


def _timm(text: str, name: str, arguments: dict, strides: Sequence[int]) -> _Parts:
    if 'out_indices' in arguments:
        raise UsageError(f'--backbone {text}: out_indices are those that the config needs, {list(strides)} as strides.')
    own = inspect.signature(TimmBackbone).parameters.keys() - {'model_args', 'model_name'}
    model_args = {key: value for key, value in arguments.items() if key not in own}
    try:
        described = describe(name, model_args, strides)
    except ValueError as error:
        raise UsageError(f'--backbone {text}: {error}') from error
    out_indices = [(stride // 4).bit_length() - 1 for stride in strides]
    config = dict(type=f'{SCOPE}.TimmBackbone', model_name=name, out_indices=out_indices)
    if model_args:
        config['model_args'] = model_args
    if described.has_layer_norm and not described.is_plain:
        config['output_norm'] = True
    weights = {}
    if source := timm_weights(name):
        weights['init_cfg'] = dict(type='Pretrained', checkpoint=source)
        if described.has_batch_norm:
            weights['norm_eval'] = True
    cfg = get_pretrained_cfg(name)
    colours = (cfg.mean, cfg.std) if cfg else (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    return _Parts(config, weights, {key: value for key, value in arguments.items() if key in own}, colours)


def _registered(text: str, kind: str, arguments: dict, strides: Sequence[int], scope: str) -> _Parts:
    backbone = MODELS.get(kind)
    if backbone is None:
        package, name = kind.split('.')
        names = MODELS.children[package].module_dict if package in MODELS.children else ()
        similar = difflib.get_close_matches(name, names, n=3)
        hint = f'; similar names are {", ".join(similar)}' if similar else ''
        raise UsageError(f'--backbone {text}: there is no {kind}{hint}.')
    config = dict(type=kind, **arguments)
    if 'out_indices' in inspect.signature(backbone).parameters and 'out_indices' not in arguments:
        config['out_indices'] = _out_indices(text, config, strides, scope)
    return _Parts(config, _openmmlab_weights(kind, arguments), arguments)


def _out_indices(text: str, config: dict, strides: Sequence[int], scope: str) -> list[int]:
    """Return the indices of the maps of these strides, found by asking a backbone of OpenMMLab's for all it has."""
    problem: Exception | None = None
    for count in (5, 4, 3):
        try:
            maps = feature_maps({**config, 'out_indices': tuple(range(count))}, scope)
        except MODEL_ERRORS as error:
            problem = error
            continue
        last = {each.stride: i for i, each in enumerate(maps)}
        if all(stride in last for stride in strides):
            return [last[stride] for stride in strides]
        raise UsageError(
            f'--backbone {text}: {config["type"]} has maps of stride {", ".join(map(str, last))}; the config needs '
            f'{", ".join(map(str, strides))}.'
        )
    raise UsageError(f'--backbone {text}: {config["type"]} cannot be built: {problem}.') from problem


def _openmmlab_weights(kind: str, arguments: dict) -> dict:
    """Return what makes a backbone of OpenMMLab's start from published weights, as far as it is known."""
    depth = arguments.get('depth')
    if kind in ('mmdet.ResNet', 'mmseg.ResNet') and isinstance(depth, int) and arguments.keys() <= SAME_RESNET:
        return dict(init_cfg=dict(type='Pretrained', checkpoint=f'torchvision://resnet{depth}'))
    if kind == 'mmdet.SwinTransformer' and arguments.keys() <= SAME_SWIN:
        return dict(convert_weights=True, init_cfg=dict(type='Pretrained', checkpoint=SWIN_TINY))
    return {}
