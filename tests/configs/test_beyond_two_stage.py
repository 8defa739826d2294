"""The configs of DINO, RTMDet and Mask2Former: they build, and each takes a training step by its own recipe."""

import copy
from pathlib import Path

import mmdet
import pytest
import torch
from batches import detection_batch, segmentation_batch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, init_default_scope

from convnext_dense.checkpoints.names import PUBLISHED
from convnext_dense.engine.config import load_config
from convnext_dense.engine.meta import build_on_meta

ROOT = Path(__file__).resolve().parents[2] / 'configs'
CONFIGS = sorted(
    str(file.relative_to(ROOT)) for each in ('dino', 'rtmdet', 'mask2former') for file in ROOT.glob(f'{each}/*.py')
)
MASK2FORMER = [name for name in CONFIGS if name.startswith('mask2former')]
IMAGE_SIZE = (64, 96)


def neck_or_head(model_cfg):
    """Whatever takes the backbone's maps."""
    return next(model_cfg[key] for key in ('neck', 'panoptic_head', 'decode_head') if key in model_cfg)


def shrunk(cfg):
    """The config with a shallow backbone of its own widths, small images, and few queries and points."""
    channels = build_on_meta(cfg.model.backbone, cfg.default_scope).channels
    cfg.model.backbone.update(arch=dict(depths=[1, 1, 1, 1], channels=channels), init_cfg=None)
    if 'num_queries' in cfg.model:
        cfg.model.num_queries = 20
    preprocessor = cfg.model.data_preprocessor
    for augment in preprocessor.get('batch_augments') or []:
        augment.size = IMAGE_SIZE
    if 'size' in preprocessor:
        preprocessor.size = IMAGE_SIZE
    if 'num_layers' in cfg.optim_wrapper.paramwise_cfg:
        cfg.optim_wrapper.paramwise_cfg.num_layers = 6
    return cfg


def build_optim_wrapper(cfg, model):
    """As the runner builds it, from the config's own constructor and gradient clipping."""
    wrapper = copy.deepcopy(cfg.optim_wrapper)
    constructor = dict(
        type=wrapper.pop('constructor', 'DefaultOptimWrapperConstructor'),
        paramwise_cfg=wrapper.pop('paramwise_cfg'),
        optim_wrapper_cfg=wrapper,
    )
    return OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)


@pytest.mark.parametrize('name', CONFIGS)
def test_builds_and_its_parts_fit(name):
    cfg = load_config(str(ROOT / name))
    model = build_on_meta(cfg.model, cfg.default_scope)
    assert type(model.backbone).__module__ == 'convnext_dense.backbones.convnext'
    widths = [model.backbone.channels[i] for i in model.backbone.out_indices]
    assert widths == list(neck_or_head(cfg.model).in_channels)
    assert cfg.model.backbone.init_cfg.checkpoint in PUBLISHED


@pytest.mark.parametrize('name', CONFIGS)
def test_takes_a_training_step(name):
    torch.manual_seed(0)
    cfg = shrunk(load_config(str(ROOT / name)))
    init_default_scope(cfg.default_scope)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    weight = model.backbone.stages[0][0].pwconv1.weight
    before = weight.detach().clone()
    # As their pipelines load it: RTMDet takes a mask it is given for the box's centre.
    batch = (
        detection_batch(with_mask='panoptic_head' in cfg.model)
        if cfg.default_scope == 'mmdet'
        else segmentation_batch()
    )
    losses = model.train_step(batch, build_optim_wrapper(cfg, model))
    assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())
    assert not torch.equal(before, weight)


@pytest.mark.parametrize('name', MASK2FORMER)
def test_the_backbone_trains_at_a_tenth_and_its_vectors_have_no_decay(name):
    cfg = shrunk(load_config(str(ROOT / name)))
    init_default_scope(cfg.default_scope)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    groups = build_optim_wrapper(cfg, model).optimizer.param_groups
    shapes = {key: param.ndim for key, param in model.named_parameters()}
    for group in groups:
        for key in group['param_names']:
            of_backbone = key.startswith('backbone.')
            assert group['lr'] == pytest.approx(1e-5 if of_backbone else 1e-4), key
            is_embedding = any(each in key for each in ('query_embed', 'query_feat', 'level_embed'))
            assert group['weight_decay'] == (0 if shapes[key] == 1 or is_embedding else 0.05), key


def leaves(value, key=''):
    """Each leaf of a config with its key; scopes, which say where a type is found, are dropped."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != '_scope_':
                yield from leaves(each, f'{key}.{name}')
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from leaves(each, f'{key}.{i}')
    else:
        yield key, value


def test_rtmdet_l_is_mmdets_but_for_the_backbones_type_and_weights():
    theirs = Path(mmdet.__file__).parent / '.mim/configs/rtmdet/rtmdet_l_convnext_b_4xb32-100e_coco.py'
    ours = ROOT / 'rtmdet/rtmdet_l_convnext-b_4xb32-100e_coco.py'
    # mmdet's imports an mmpretrain that need not be here.
    own, theirs = (
        dict(leaves(Config.fromfile(file, import_custom_modules=False).to_dict())) for file in (ours, theirs)
    )
    different = {key for key in own.keys() | theirs.keys() if own.get(key) != theirs.get(key)}
    assert different == {
        '.model.backbone.type',
        '.model.backbone.init_cfg.checkpoint',
        '.model.backbone.init_cfg.prefix',
        '.optim_wrapper.constructor',
        '.auto_scale_lr.base_batch_size',
        '.custom_imports.imports.0',
    }
