"""Puts another backbone into a config, and fits to it what depends on the backbone."""

import inspect
import logging
from collections.abc import Sequence
from itertools import pairwise

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import MODELS

from convnext_dense.config.backbone.channels import IMAGE, fit_channels
from convnext_dense.config.backbone.names import NamedBackbone, parse_backbone
from convnext_dense.config.custom_imports import import_package
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import MODEL_ERRORS, FeatureMap, build_on_meta, feature_maps
from convnext_dense.optim import backbone_layer_ids
from convnext_dense.registry import SCOPE

PREPROCESSORS = ('DetDataPreprocessor', 'SegDataPreProcessor')
# A recipe's settings of a backbone, which the new one is given too where it has them.
KEPT = ('drop_path_rate', 'with_cp')
# What a config calls mmengine's start from a checkpoint.
PRETRAINED = ('Pretrained', 'PretrainedInit')
LAYER_DECAY = ('LearningRateDecayOptimizerConstructor', 'LayerDecayOptimWrapperConstructor')


def set_backbone(cfg: Config, name: str, pretrained: bool = True) -> None:
    """Put the backbone of a name into a config of this package's, mmdet's or mmseg's.

    The channels of the neck, or without a neck of the heads, the weights, the colours that images are normalised by,
    and the settings of learning-rate decay become the new backbone's, so that the stem trains at the same rate;
    `drop_path_rate` and `with_cp` stay the recipe's. All else stays as it is. The result needs
    ``import convnext_dense``, for which it has `custom_imports`.

    Args:
        cfg: The config, which is changed.
        name: As in `parse_backbone`.
        pretrained: Whether the backbone starts from published weights.

    Raises:
        UsageError: If the name names no backbone, or a part of the model cannot be fitted to it. The config is
            unchanged then.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('configs/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py')
        >>> set_backbone(cfg, 'timm/resnet50')
        >>> cfg.model.backbone.model_name, cfg.model.neck.in_channels
        ('resnet50', [256, 512, 1024, 2048])
    """
    scope = cfg.default_scope
    model = ConfigDict(cfg.model.to_dict())
    if not isinstance(model.get('backbone'), dict):
        raise UsageError(f'--backbone: {model.type} has no model.backbone that could be replaced.')
    if 'shared_head' in (model.get('roi_head') or {}):
        raise UsageError(
            f'--backbone: model.roi_head.shared_head ({model.roi_head.shared_head.type}) is a stage of the old '
            'backbone; take a config with a neck, such as FPN.'
        )
    old = without_weights(model.backbone)
    sizes = [IMAGE, _pair((model.get('data_preprocessor') or {}).get('size'))]
    try:
        old_maps = _maps(old, scope, sizes)
    except ValueError as error:
        raise UsageError(f'--backbone: what model.backbone ({old.type}) gives cannot be told: {error}') from error
    strides = _strides(old.type, old_maps)
    named = parse_backbone(name, strides, scope, pretrained)
    backbone = ConfigDict(_with_recipe(named.config, old, scope))
    try:
        maps = _maps(backbone, scope, sizes)
    except ValueError as error:
        raise UsageError(f'--backbone {name}: {error}') from error
    if [each.stride for each in maps] != strides:
        raise UsageError(
            f'--backbone {name}: it gives maps of stride {", ".join(str(each.stride) for each in maps)}; '
            f'the config needs {", ".join(map(str, strides))}.'
        )
    model.backbone = backbone
    model.pop('pretrained', None)
    all_used = fit_channels(model, scope, old_maps, maps)
    if backbone.get('in_channels', 3) == 3:
        _set_colours(model, named)
    cfg.model = model
    _fit_decay(cfg, old, backbone)
    import_package(cfg)
    if not all_used:
        # Its norm or pyramid level gets no gradient, for which distributed training would wait.
        cfg.find_unused_parameters = True
    if cfg.get('load_from'):
        print_log(f'--backbone: load_from={cfg.load_from} was of the old model, and is dropped.', logger='current')
        cfg.load_from = None
    _report(cfg, name, old)


def without_weights(cfg: ConfigDict) -> ConfigDict:
    """Return the config of a model, or of a part of one, without the weights that it would start from.

    Args:
        cfg: The config; it stays as it is.

    Example:
        >>> without_weights(ConfigDict(type='ResNet', depth=50, init_cfg=dict(type='Pretrained', checkpoint='a.pth')))
        {'type': 'ResNet', 'depth': 50, 'init_cfg': None}
        >>> without_weights(ConfigDict(backbone=dict(type='TIMMBackbone', pretrained=True))).backbone.pretrained
        False
    """
    changed = ConfigDict()
    for key, value in cfg.items():
        if key == 'pretrained':
            changed[key] = False if isinstance(value, bool) else None
        elif _is_pretrained(value):
            changed[key] = None
        elif isinstance(value, dict):
            changed[key] = without_weights(value)
        elif isinstance(value, list | tuple):
            given = (each for each in value if not _is_pretrained(each))
            changed[key] = type(value)(without_weights(each) if isinstance(each, dict) else each for each in given)
        else:
            changed[key] = value
    return changed


def _is_pretrained(value: object) -> bool:
    kind = value.get('type') if isinstance(value, dict) else None
    return (kind if isinstance(kind, str) else getattr(kind, '__name__', '')).split('.')[-1] in PRETRAINED


def _maps(backbone: ConfigDict, scope: str, sizes: Sequence[tuple[int, int] | None]) -> list[FeatureMap]:
    """Return a backbone's maps; a plain transformer may take the config's or its own size only."""
    own = backbone.get('img_size') or (backbone.get('model_args') or {}).get('img_size')
    for size in filter(None, [*sizes, _pair(own)]):
        try:
            return feature_maps(backbone, scope, size)
        except MODEL_ERRORS as error:
            problem = error
    raise ValueError(problem) from problem


def _pair(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else tuple(size) if size else None


def _strides(kind: str, maps: list[FeatureMap]) -> list[int]:
    """Return the strides of the maps that replace these: the same, or 4 to 32 for four maps dilated or of a ViT."""
    strides = [each.stride for each in maps]
    rising = all(before < after for before, after in pairwise(strides))
    if rising and all(stride >= 4 and stride & (stride - 1) == 0 for stride in strides):
        return strides
    if len(strides) == 4 and strides == sorted(strides) and strides[0] >= 4:
        print_log(
            f'--backbone: {kind} has maps of stride {strides}, the new one of [4, 8, 16, 32]: less detail is left.',
            logger='current',
            level=logging.WARNING,
        )
        return [4, 8, 16, 32]
    raise UsageError(
        f'--backbone: model.backbone ({kind}) has maps of stride {", ".join(map(str, strides))}, and no other '
        'backbone has such; take a config whose backbone has strides of 4, 8, 16, 32 or some of them.'
    )


def _with_recipe(backbone: dict, old: ConfigDict, scope: str) -> dict:
    """Return the backbone's config with the recipe's settings and the image's channels, where it has them."""
    if old.get('in_channels', 3) != 3:
        backbone = {'in_channels': old.in_channels, **backbone}
    parameters = inspect.signature(MODELS.get(backbone['type'])).parameters
    for key in KEPT:
        if not old.get(key) or key in backbone:
            continue
        changed = {**backbone, key: old[key]}
        try:
            if key in parameters and build_on_meta(changed, scope):
                backbone = changed
                continue
        except MODEL_ERRORS:
            pass
        print_log(f'--backbone: the new backbone has no {key}; the config had {old[key]}.', logger='current')
    return backbone


def _set_colours(model: ConfigDict, named: NamedBackbone) -> None:
    preprocessor = model.get('data_preprocessor')
    kind = str((preprocessor or {}).get('type')).split('.')[-1]
    if not preprocessor or ('mean' not in preprocessor and kind not in PREPROCESSORS):
        raise UsageError(
            f'--backbone: model.data_preprocessor ({kind}) has no mean and std, which the new backbone would set.'
        )
    preprocessor.update(mean=list(named.mean), std=list(named.std), bgr_to_rgb=True)
    preprocessor.pop('rgb_to_bgr', None)


def _fit_decay(cfg: Config, old: ConfigDict, new: ConfigDict) -> None:
    """Let learning-rate decay, if the recipe has it, go by the new backbone's own layers, down to the same rate.

    With the recipe's rate for each of 17 blocks, where it was for 7 groups of blocks, the first would hardly train.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if str(wrapper.get('constructor')).split('.')[-1] not in LAYER_DECAY:
        return
    wrapper.constructor = f'{SCOPE}.LayerDecayOptimWrapperConstructor'
    paramwise = wrapper.paramwise_cfg
    scope, decay_type = cfg.default_scope, paramwise.get('decay_type', 'layer_wise')
    _, before = backbone_layer_ids(build_on_meta(old, scope), '', decay_type, paramwise.pop('num_layers', None))
    # Stages are what the stage-wise recipes count in ConvNeXt; other backbones have no common notion of them.
    if new.type != f'{SCOPE}.ConvNeXt':
        paramwise.decay_type = decay_type = 'layer_wise'
    _, after = backbone_layer_ids(build_on_meta(new, scope), '', decay_type)
    paramwise.decay_rate = round(paramwise.decay_rate ** (before / after), 4)


def _report(cfg: Config, name: str, old: ConfigDict) -> None:
    backbone = cfg.model.backbone
    weights = (backbone.get('init_cfg') or {}).get('checkpoint')
    lines = [f' {name}: {f"weights {weights}" if weights else "it starts from scratch"}.']
    if old.get('frozen_stages', 0) > 0 and 'frozen_stages' not in backbone:
        lines.append(f": frozen_stages={old.frozen_stages} of the old backbone is not kept; '{name}(...)' takes one.")
    if cfg.get('find_unused_parameters'):
        lines.append(': the model does not use all maps, so find_unused_parameters is set.')
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer', {}).get('type')
    if optimizer == 'SGD' and backbone.type == f'{SCOPE}.ConvNeXt':
        lines.append(': the config trains with SGD, as it did; ConvNeXt is published with AdamW.')
    for line in lines:
        print_log(f'--backbone{line}', logger='current')
