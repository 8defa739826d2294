"""The same model and recipe as OpenMMLab runs them."""

import copy
import importlib.util
from pathlib import Path

import mmcv
import torch
from mmengine.config import Config, ConfigDict
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.compat.mmcv_ext import EXT_FILE, EXT_NAME
from convnext_dense.config.custom_imports import import_package
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE
from convnext_dense.weights.conversion import from_official
from convnext_dense.weights.layouts import MMPRETRAIN

OURS = f'{SCOPE}.ConvNeXt'
THEIRS = 'mmpretrain.ConvNeXt'
LAYER_DECAY = f'{SCOPE}.LayerDecayOptimWrapperConstructor'
# What mmdet's and mmseg's constructors for learning-rate decay read.
DECAY_KEYS = ('decay_rate', 'decay_type', 'num_layers')
# Whether cuDNN times its kernels at each new shape, by each library's default_runtime.py.
CUDNN_BENCHMARK = dict(mmdet=False, mmseg=True)
# What our ConvNeXt has another default of than mmpretrain's.
DEFAULTS = dict(out_indices=[0, 1, 2, 3], gap_before_final_norm=False)


def openmmlab_config(cfg: Config) -> Config:
    """Return the config as OpenMMLab would write it for the same model and recipe.

    That is mmpretrain's ConvNeXt, mixed precision in fp16 with a dynamic loss scale, contiguous memory, PyTorch's
    default AdamW, and mmdet's or mmseg's own constructor for learning-rate decay and default of cuDNN's autotuning. A
    backbone of OpenMMLab's stays.

    Args:
        cfg: A config with a model and an optim_wrapper; it stays as it is.

    Raises:
        UsageError: If mmpretrain is missing, or OpenMMLab has no such backbone.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
        >>> openmmlab_config(cfg).model.backbone.type
        'mmpretrain.ConvNeXt'
    """
    cfg = copy.deepcopy(cfg)
    backbone = cfg.model.get('backbone') or ConfigDict(type=None)
    if str(backbone.type).startswith(f'{SCOPE}.') and backbone.type != OURS:
        raise UsageError(
            f'model.backbone: OpenMMLab has no {backbone.type}, so there is nothing of theirs to compare with; '
            f"the backbone must be {OURS}, or one of OpenMMLab's own."
        )
    if backbone.type == OURS:
        if importlib.util.find_spec('mmpretrain') is None:
            raise UsageError("OpenMMLab's ConvNeXt is in mmpretrain, which is not installed: pip install mmpretrain.")
        given = {key: value for key, value in backbone.items() if key not in ('type', 'init_cfg')}
        cfg.model.backbone = ConfigDict({**DEFAULTS, **given, 'type': THEIRS})
        import_package(cfg, 'mmpretrain.models')
    _use_their_optimizer(cfg, _layers(backbone) if backbone.type == OURS else None)
    cfg.custom_hooks = [each for each in cfg.get('custom_hooks') or [] if not str(each['type']).startswith(SCOPE)]
    cfg.pop('compile', None)
    cfg.pop('model_wrapper_cfg', None)
    cfg.setdefault('env_cfg', ConfigDict()).cudnn_benchmark = CUDNN_BENCHMARK.get(cfg.get('default_scope'), False)
    cfg.load_from = None
    return cfg


def _layers(backbone: ConfigDict) -> int:
    """Return the number of layers that learning-rate decay counts in a ConvNeXt."""
    arch = backbone.get('arch', 'tiny')
    depths = arch['depths'] if isinstance(arch, dict) else ConvNeXt.arch_settings[arch].depths
    return 12 if len(depths) > 2 and depths[2] > 9 else 6


def _use_their_optimizer(cfg: Config, layers: int | None) -> None:
    wrapper = cfg.optim_wrapper
    wrapper.type = 'AmpOptimWrapper'
    wrapper.loss_scale = 'dynamic'
    wrapper.pop('dtype', None)
    for option in ('fused', 'foreach', 'capturable'):
        wrapper.optimizer.pop(option, None)
    if wrapper.get('constructor') != LAYER_DECAY or layers is None:
        return
    settings = dict(wrapper.get('paramwise_cfg') or {})
    if settings.keys() - DECAY_KEYS:
        # Theirs reads nothing else; mmengine's default does.
        wrapper.pop('constructor')
        wrapper.paramwise_cfg = ConfigDict({k: v for k, v in settings.items() if k not in DECAY_KEYS})
        return
    wrapper.constructor = f'{cfg.default_scope}.LearningRateDecayOptimizerConstructor'
    wrapper.paramwise_cfg = ConfigDict({**settings, 'num_layers': settings.get('num_layers') or layers})


def mmcv_ops() -> str:
    """Return by what the operators of `mmcv.ops` run, which both ways of a model have in common.

    Example:
        >>> mmcv_ops()
        'by ...'
    """
    extension = importlib.import_module(EXT_NAME)
    if Path(extension.__file__) == EXT_FILE:
        return f'by {SCOPE}.compat'
    return f'by compiled mmcv {mmcv.__version__}'


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Give the model with mmpretrain's ConvNeXt, or the same backbone, the weights of ours.

    Args:
        source: Our model.
        target: Theirs, of the same parts.

    Raises:
        RuntimeError: If a tensor of one has no place in the other.

    Example:
        >>> source, target = (nn.ModuleDict(dict(backbone=ConvNeXt('atto'))) for _ in range(2))
        >>> copy_weights(source, target)
    """
    weights = dict(source.state_dict())
    if type(source.backbone) is ConvNeXt and type(target.backbone) is not ConvNeXt:
        official = {name: weights.pop(f'backbone.{name}') for name in source.backbone.state_dict()}
        exported, _ = from_official(official, MMPRETRAIN)
        own = target.backbone.state_dict()
        # Pointwise layers may be 1x1 convolutions.
        weights |= {
            f'backbone.{name}': tensor.reshape(own[name].shape) if name in own else tensor
            for name, tensor in exported.items()
        }
    with torch.no_grad():
        target.load_state_dict(weights)
