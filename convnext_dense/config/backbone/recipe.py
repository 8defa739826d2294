"""Gives a config the optimizer that ConvNeXt was published with, in place of its own."""

from typing import NamedTuple

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.backbone.swap import without_weights
from convnext_dense.config.custom_imports import import_package
from convnext_dense.config.schedule.batch_size import scale_schedule
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta
from convnext_dense.optim import backbone_layer_ids
from convnext_dense.registry import SCOPE

RECIPES = ('convnext',)
LEARNING_RATE = 1e-4
OPTIMIZER = dict(type='AdamW', lr=LEARNING_RATE, betas=(0.9, 0.999), weight_decay=0.05)


class Decay(NamedTuple):
    """Published learning-rate decay, and the published model's number of steps from the stem to the heads."""

    rate: float
    decay_type: str
    steps: int = 7


# Of Mask R-CNN with ConvNeXt-T and ConvNeXt V2-B on COCO, and of UperNet with ConvNeXt-T to XL on ADE20K.
DECAYS = {'mmdet': Decay(0.95, 'layer_wise'), 'mmseg': Decay(0.9, 'stage_wise')}


def set_recipe(cfg: Config, recipe: str = 'convnext') -> None:
    """Put ConvNeXt's published optimizer into a config: AdamW, its learning rate, weight decay and layer decay.

    The schedule stays, and so do mixed precision, gradient clipping and accumulation. Rates that the schedule names,
    such as PolyLR's ``eta_min``, are scaled with the learning rate. A ConvNeXt has the published decay; in another
    backbone the stem trains at the same rate as in ConvNeXt-T.

    Args:
        cfg: The config, which is changed. It gets `custom_imports` of this package, which it now needs.
        recipe: One of `RECIPES`.

    Raises:
        UsageError: If there is no such recipe, the config does not train, or its backbone has no layers that can be
            recognized.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
        >>> set_recipe(cfg)
        >>> cfg.optim_wrapper.optimizer.type, cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.paramwise_cfg
        ('AdamW', 0.0001, {'decay_rate': 0.9791, 'decay_type': 'layer_wise'})
    """
    if recipe not in RECIPES:
        raise UsageError(f'recipe: there is no recipe {recipe!r}; choose from {", ".join(RECIPES)}.')
    wrapper = cfg.get('optim_wrapper')
    if not wrapper or not wrapper.get('optimizer'):
        raise UsageError('recipe: the config has no optim_wrapper.optimizer to replace.')
    old_lr = wrapper.optimizer.get('lr')
    wrapper.optimizer = ConfigDict(OPTIMIZER)
    wrapper.constructor = f'{SCOPE}.LayerDecayOptimWrapperConstructor'
    wrapper.paramwise_cfg = _decay(cfg)
    scale_schedule(cfg, LEARNING_RATE / old_lr if old_lr else 1.0)
    import_package(cfg)


def report_optimizer(cfg: Config, recipe: str | None) -> None:
    """Log, in one line, which optimizer a config trains with, and whose it is.

    Args:
        cfg: The config.
        recipe: The recipe that it was given, if any.

    Example:
        >>> cfg = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.02))))
        >>> report_optimizer(cfg, recipe=None)  # doctest: +SKIP
        optimizer: the config's own: SGD, lr 0.02, weight decay 0.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    optimizer, paramwise = wrapper.get('optimizer') or {}, wrapper.get('paramwise_cfg') or {}
    source = f"ConvNeXt's, by the recipe {recipe}" if recipe else "the config's own"
    decay = f', layer decay {paramwise["decay_rate"]}' if 'decay_rate' in paramwise else ''
    print_log(
        f'optimizer: {source}: {optimizer.get("type")}, lr {optimizer.get("lr")}, weight decay '
        f'{optimizer.get("weight_decay", 0)}{decay}.',
        logger='current',
    )


def _decay(cfg: Config) -> ConfigDict:
    """Return the published decay, with the rate per layer that gives the backbone's stem the published rate."""
    rate, decay_type, steps = DECAYS['mmseg' if cfg.default_scope == 'mmseg' else 'mmdet']
    backbone = (cfg.model.get('backbone') or {}) if isinstance(cfg.model, dict) else {}
    if not backbone:
        raise UsageError('recipe: the config has no model.backbone, whose layers the recipe decays.')
    if backbone.get('type') != f'{SCOPE}.ConvNeXt':
        try:
            module = build_on_meta(without_weights(backbone), cfg.default_scope)
            _, head_id = backbone_layer_ids(module)
        except ValueError as error:
            raise UsageError(f'recipe: {error}') from error
        # Other backbones have no common notion of stages.
        rate, decay_type = round(rate ** (steps / head_id), 4), 'layer_wise'
    return ConfigDict(decay_rate=rate, decay_type=decay_type)
