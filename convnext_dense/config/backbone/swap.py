"""Puts another backbone into a config, and fits everything that depends on the backbone."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch import nn

from convnext_dense.config.backbone.channels import PROBE_SIZE, fit_channels
from convnext_dense.config.backbone.names import NamedBackbone, parse_backbone
from convnext_dense.config.custom_imports import import_package
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import FeatureMap, build_on_meta, feature_maps
from convnext_dense.optim import backbone_layer_ids
from convnext_dense.registry import SCOPE

PREPROCESSORS = ('DetDataPreprocessor', 'SegDataPreProcessor')
# A recipe's settings of a backbone. The new backbone keeps those that it takes.
KEPT_BACKBONE_KEYS = ('drop_path_rate', 'with_cp')
# How configs name mmengine's initialization from a checkpoint.
PRETRAINED = ('Pretrained', 'PretrainedInit')
LAYER_DECAY = ('LearningRateDecayOptimizerConstructor', 'LayerDecayOptimWrapperConstructor')


def set_backbone(cfg: Config, name: str, pretrained: bool = True) -> None:
    """Put a backbone into a config of this package's, mmdet's or mmseg's.

    The new backbone determines the channels of the neck (without a neck, of the heads), the weights, the normalization
    of images, and the settings of learning-rate decay, by which the stem trains at the same rate as before. The
    recipe's `drop_path_rate` and `with_cp` stay, and so does everything else. The config gets `custom_imports` of this
    package, which it now needs.

    Args:
        cfg: The config, which is changed.
        name: As in `parse_backbone`.
        pretrained: Whether the backbone starts from published weights.

    Raises:
        UsageError: If the name names no backbone, or a part of the model cannot be fitted to it. The config is then
            unchanged.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco')
        >>> set_backbone(cfg, 'timm/resnet50')
        >>> cfg.model.backbone.model_name, cfg.model.neck.in_channels
        ('resnet50', [256, 512, 1024, 2048])
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        _set_backbone(cfg, name, pretrained)


def _set_backbone(cfg: Config, name: str, pretrained: bool) -> None:
    model = ConfigDict(cfg.model.to_dict())
    _check_replaceable(model)
    sizes = [PROBE_SIZE, _pair((model.get('data_preprocessor') or {}).get('size'))]
    old_cfg = without_weights(model.backbone)
    try:
        old = probe(old_cfg, sizes)
    except ValueError as error:
        raise UsageError(f'backbone: the maps of model.backbone ({old_cfg.type}) are unknown: {error}') from error
    strides = _strides(old.cfg.type, old.maps)
    named = parse_backbone(name, strides, pretrained)
    new_cfg = ConfigDict(named.config)
    if old.in_channels != 3:
        new_cfg = ConfigDict({'in_channels': old.in_channels, **new_cfg})
    try:
        new = probe(new_cfg, sizes)
    except ValueError as error:
        raise UsageError(f'backbone {name}: {error}') from error
    if [fmap.stride for fmap in new.maps] != strides:
        raise UsageError(
            f'backbone {name}: it gives maps of stride {", ".join(str(fmap.stride) for fmap in new.maps)}; '
            f'the config needs {", ".join(map(str, strides))}.'
        )
    model.backbone = ConfigDict({**new.cfg, **_kept_settings(old.cfg, named)})
    model.pop('pretrained', None)
    all_used = fit_channels(model, old.maps, new.maps)
    if new.in_channels == 3:
        _set_normalization(model, named)
    cfg.model = model
    _fit_decay(cfg, old, new)
    import_package(cfg)
    if not all_used:
        # The norm or the pyramid level of an unused map gets no gradient, for which distributed training would wait.
        cfg.find_unused_parameters = True
    if cfg.get('load_from'):
        print_log(f'backbone: load_from={cfg.load_from} belongs to the old model and is dropped.', logger='current')
        cfg.load_from = None
    _report(cfg, name, old.cfg)


def _check_replaceable(model: ConfigDict) -> None:
    if not isinstance(model.get('backbone'), dict):
        raise UsageError(f'backbone: {model.type} has no model.backbone that could be replaced.')
    if 'shared_head' in (model.get('roi_head') or {}):
        raise UsageError(
            f'backbone: model.roi_head.shared_head ({model.roi_head.shared_head.type}) is a stage of the old '
            'backbone; take a config with a neck, such as FPN.'
        )


def start_from_scratch(cfg: Config) -> None:
    """Take the weights that the backbone starts from out of a config, and freeze nothing: random layers must train.

    Args:
        cfg: The config, which is changed.

    Raises:
        UsageError: If it has no ``model.backbone``.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
        >>> start_from_scratch(cfg)
        >>> 'init_cfg' in cfg.model.backbone, cfg.model.backbone.frozen_stages, cfg.model.backbone.norm_eval
        (False, -1, False)
    """
    if not isinstance(cfg.model.get('backbone'), dict):
        raise UsageError(f'pretrained: {cfg.model.type} has no model.backbone that could start from scratch.')
    backbone = without_weights(cfg.model.backbone)
    if not backbone.get('init_cfg'):
        # Without the key, a backbone initializes itself.
        backbone.pop('init_cfg', None)
    if backbone.get('frozen_stages', -1) >= 0:
        backbone.frozen_stages = -1
    if backbone.get('norm_eval'):
        backbone.norm_eval = False
    if backbone.get('norm_cfg'):
        backbone.norm_cfg.pop('requires_grad', None)
    cfg.model.backbone = backbone
    cfg.model.pop('pretrained', None)
    cfg.load_from = None
    print_log('backbone: it starts from scratch, with no frozen stage.', logger='current')


def without_weights(cfg: dict) -> ConfigDict:
    """Return the config of a model, or of a part of one, without the weights that it starts from.

    Args:
        cfg: The config, which is not changed.

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
            kept = (item for item in value if not _is_pretrained(item))
            changed[key] = type(value)(without_weights(item) if isinstance(item, dict) else item for item in kept)
        else:
            changed[key] = value
    return changed


def _is_pretrained(value: object) -> bool:
    return isinstance(value, dict) and bare_type(value.get('type')) in PRETRAINED


class ProbedBackbone(NamedTuple):
    """A backbone's config, the backbone on the meta device, and its maps."""

    cfg: ConfigDict
    module: nn.Module
    maps: list[FeatureMap]

    @property
    def in_channels(self) -> int:
        return self.cfg.get('in_channels', 3)


def probe(cfg: ConfigDict, sizes: Sequence[tuple[int, int] | None] = (PROBE_SIZE,)) -> ProbedBackbone:
    """Build a backbone, and run it on images of these sizes, and of its own, until it takes one.

    A plain transformer may only take the config's or its own size.

    Args:
        cfg: The backbone's config.
        sizes: Heights and widths in pixels.

    Raises:
        ValueError: If it cannot be built, or takes none of them.
    """
    own_size = cfg.get('img_size') or (cfg.get('model_args') or {}).get('img_size')
    try:
        module = build_on_meta(cfg)
    except Exception as error:
        raise ValueError(error) from error
    problem: Exception | None = None
    for size in [size for size in (*sizes, _pair(own_size)) if size]:
        try:
            return ProbedBackbone(cfg, module, feature_maps(module, size, cfg.get('in_channels', 3)))
        except Exception as error:  # noqa: BLE001 - anything that a user's backbone can raise
            problem = error
    raise ValueError(problem) from problem


def _pair(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else (size[0], size[1]) if size else None


def _strides(kind: str, maps: list[FeatureMap]) -> list[int]:
    """Return the strides of the maps that replace these: the same; or 4 to 32, for four maps of a ViT or dilated."""
    strides = [fmap.stride for fmap in maps]
    rising = all(before < after for before, after in pairwise(strides))
    if rising and all(stride >= 4 and stride & (stride - 1) == 0 for stride in strides):
        return strides
    if len(strides) == 4 and strides == sorted(strides) and strides[0] >= 4:
        print_log(
            f'backbone: {kind} has maps of stride {strides}, the new one has [4, 8, 16, 32], with less detail.',
            logger='current',
            level=logging.WARNING,
        )
        return [4, 8, 16, 32]
    raise UsageError(
        f'backbone: model.backbone ({kind}) has maps of stride {", ".join(map(str, strides))}, and no other '
        'backbone has such; take a config whose backbone has strides of 4, 8, 16, 32 or some of them.'
    )


def _kept_settings(old: ConfigDict, named: NamedBackbone) -> dict:
    """Return the recipe's settings that the new backbone takes, and that its name does not set."""
    kept = {}
    for key in KEPT_BACKBONE_KEYS:
        if not old.get(key) or key in named.config:
            continue
        if key in named.parameters:
            kept[key] = old[key]
        else:
            print_log(f'backbone: the new backbone has no {key}; the config had {old[key]}.', logger='current')
    return kept


def _set_normalization(model: ConfigDict, named: NamedBackbone) -> None:
    preprocessor = model.get('data_preprocessor') or {}
    kind = bare_type(preprocessor.get('type'))
    if not preprocessor or ('mean' not in preprocessor and kind not in PREPROCESSORS):
        raise UsageError(
            f'backbone: model.data_preprocessor ({kind}) has no mean and std, which the new backbone would set.'
        )
    preprocessor.update(mean=list(named.mean), std=list(named.std), bgr_to_rgb=True)
    preprocessor.pop('rgb_to_bgr', None)


def _fit_decay(cfg: Config, old: ProbedBackbone, new: ProbedBackbone) -> None:
    """Apply the recipe's learning-rate decay, if any, to the new backbone's layers, with the same rate for the stem.

    With the recipe's rate per block, where the recipe has 7 groups of blocks and the backbone 17 blocks, the first ones
    would hardly train.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if bare_type(wrapper.get('constructor')) not in LAYER_DECAY:
        return
    wrapper.constructor = f'{SCOPE}.LayerDecayOptimWrapperConstructor'
    paramwise = wrapper.paramwise_cfg
    decay_type = paramwise.get('decay_type', 'layer_wise')
    _, before = backbone_layer_ids(old.module, '', decay_type, paramwise.pop('num_layers', None))
    # The stage-wise recipes count ConvNeXt's stages. Other backbones have no common notion of stages.
    if new.cfg.type != f'{SCOPE}.ConvNeXt':
        paramwise.decay_type = decay_type = 'layer_wise'
    _, after = backbone_layer_ids(new.module, '', decay_type)
    paramwise.decay_rate = round(paramwise.decay_rate ** (before / after), 4)


def _report(cfg: Config, name: str, old: ConfigDict) -> None:
    backbone = cfg.model.backbone
    weights = (backbone.get('init_cfg') or {}).get('checkpoint')
    lines = [f'backbone {name}: {f"weights {weights}" if weights else "it starts from scratch"}.']
    if old.get('frozen_stages', 0) > 0 and 'frozen_stages' not in backbone:
        lines.append(
            f'backbone: frozen_stages={old.frozen_stages} of the old backbone is not kept; '
            f"'{name}(frozen_stages=...)' sets it."
        )
    if cfg.get('find_unused_parameters'):
        lines.append('backbone: the model does not use all maps, so find_unused_parameters is set.')
    for line in lines:
        print_log(line, logger='current')
