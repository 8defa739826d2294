"""The same model and recipe as OpenMMLab runs them."""

import copy
import importlib.util
from pathlib import Path

import mmcv
import torch
from mmengine.config import Config, ConfigDict
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.backbones.base import layer_depth
from convnext_dense.compat.imports.mmcv_ext import EXT_FILE, EXT_NAME
from convnext_dense.config.custom_imports import import_package
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE
from convnext_dense.weights.conversion import from_official
from convnext_dense.weights.layouts import MMPRETRAIN

OUR_CONVNEXT = f'{SCOPE}.ConvNeXt'
MMPRETRAIN_CONVNEXT = 'mmpretrain.ConvNeXt'
OUR_LAYER_DECAY = f'{SCOPE}.LayerDecayOptimWrapperConstructor'
# What mmdet's and mmseg's constructors for learning-rate decay read.
DECAY_KEYS = ('decay_rate', 'decay_type', 'num_layers')
# Whether each library's default_runtime.py lets cuDNN time its kernels at each new shape.
CUDNN_BENCHMARK = dict(mmdet=False, mmseg=True)
# What mmpretrain's backbone has not, and our defaults that differ from its.
OUR_OPTIONS = ('kernels', 'recompute_hidden')
OUR_DEFAULTS = dict(out_indices=[0, 1, 2, 3], gap_before_final_norm=False)


def openmmlab_config(cfg: Config) -> Config:
    """Return the config as OpenMMLab would write it for the same model and recipe.

    It has mmpretrain's ConvNeXt, fp16 mixed precision with a dynamic loss scale, contiguous memory, PyTorch's default
    AdamW, mmdet's or mmseg's own constructor for learning-rate decay, and the library's default for cuDNN's autotuning.
    A backbone of OpenMMLab's own is kept.

    Args:
        cfg: A config with a model and an optim_wrapper. It is not changed.

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
    layers = None
    if backbone.type == OUR_CONVNEXT:
        if importlib.util.find_spec('mmpretrain') is None:
            raise UsageError("OpenMMLab's ConvNeXt is in mmpretrain, which is not installed: pip install mmpretrain.")
        options = {key: value for key, value in backbone.items() if key not in ('type', 'init_cfg', *OUR_OPTIONS)}
        cfg.model.backbone = ConfigDict({**OUR_DEFAULTS, **options, 'type': MMPRETRAIN_CONVNEXT})
        import_package(cfg, 'mmpretrain.models')
        layers = _decayed_layers(backbone)
    elif str(backbone.type).startswith(f'{SCOPE}.'):
        raise UsageError(
            f'model.backbone: OpenMMLab has no {backbone.type} to compare with; the backbone must be {OUR_CONVNEXT}, '
            "or one of OpenMMLab's own."
        )
    _use_their_optimizer(cfg, layers)
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if not str(hook['type']).startswith(SCOPE)]
    cfg.pop('compile', None)
    cfg.pop('model_wrapper_cfg', None)
    cfg.setdefault('env_cfg', ConfigDict()).cudnn_benchmark = CUDNN_BENCHMARK.get(cfg.get('default_scope'), False)
    cfg.load_from = None
    return cfg


def _decayed_layers(backbone: ConfigDict) -> int:
    """Return the number of layers that learning-rate decay counts in a ConvNeXt, without stem and head."""
    arch = backbone.get('arch', 'tiny')
    depths = arch['depths'] if isinstance(arch, dict) else ConvNeXt.arch_settings[arch].depths
    return layer_depth(depths, 'head')[1] - 2


def _use_their_optimizer(cfg: Config, layers: int | None) -> None:
    wrapper = cfg.optim_wrapper
    wrapper.type = 'AmpOptimWrapper'
    wrapper.loss_scale = 'dynamic'
    wrapper.pop('dtype', None)
    for option in ('fused', 'foreach', 'capturable'):
        wrapper.optimizer.pop(option, None)
    if wrapper.get('constructor') != OUR_LAYER_DECAY or layers is None:
        return
    options = dict(wrapper.get('paramwise_cfg') or {})
    if options.keys() - DECAY_KEYS:
        # Their constructor reads nothing else; mmengine's default one does.
        wrapper.pop('constructor')
        wrapper.paramwise_cfg = ConfigDict({k: v for k, v in options.items() if k not in DECAY_KEYS})
        return
    wrapper.constructor = f'{cfg.default_scope}.LearningRateDecayOptimizerConstructor'
    wrapper.paramwise_cfg = ConfigDict({**options, 'num_layers': options.get('num_layers') or layers})


def mmcv_ops() -> str:
    """Return what runs the operators of `mmcv.ops`, for both contenders."""
    extension = importlib.import_module(EXT_NAME)
    return f'{SCOPE}.compat' if Path(extension.__file__) == EXT_FILE else f'compiled mmcv {mmcv.__version__}'


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy our model's weights to the same model with mmpretrain's ConvNeXt, or with the same backbone.

    Args:
        source: Our model.
        target: OpenMMLab's.

    Raises:
        RuntimeError: If a tensor of one model has no place in the other.
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
