"""One training step of a config's model, with the config's own optimizer."""

import copy

import torch
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, DefaultScope

from convnext_dense.meta_device import build_on_meta


def make_shallow(cfg: Config) -> None:
    """Give a config's ConvNeXt one block a stage, of the widths it had, and no weights to read."""
    channels = build_on_meta(cfg.model.backbone, cfg.default_scope).channels
    cfg.model.backbone.update(arch=dict(depths=[1, 1, 1, 1], channels=channels), init_cfg=None)
    if 'num_layers' in cfg.optim_wrapper.paramwise_cfg:
        cfg.optim_wrapper.paramwise_cfg.num_layers = 6


def build_for_training(cfg: Config) -> tuple[BaseModel, OptimWrapper]:
    """Build a config's model and its optimizer as a runner on a CPU does, without mixed precision."""
    wrapper = copy.deepcopy(cfg.optim_wrapper)
    if wrapper.type == 'AmpOptimWrapper':
        wrapper.type = 'OptimWrapper'
        wrapper.pop('loss_scale', None)
    constructor = dict(
        type=wrapper.pop('constructor', 'DefaultOptimWrapperConstructor'),
        paramwise_cfg=wrapper.pop('paramwise_cfg'),
        optim_wrapper_cfg=wrapper,
    )
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = revert_sync_batchnorm(MODELS.build(copy.deepcopy(cfg.model)))
        return model, OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)


def assert_trains(cfg: Config, batch: dict) -> None:
    """Check that a step on a batch has finite losses and changes the backbone."""
    torch.manual_seed(0)
    model, optim_wrapper = build_for_training(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model.init_weights()
        weight = model.backbone.stages[0][0].pwconv1.weight
        before = weight.detach().clone()
        losses = model.train_step(batch, optim_wrapper)
    assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())
    assert not torch.equal(before, weight)
