"""The configs of DINO, RTMDet and Mask2Former: what is said of them, and that each takes a step of training."""

import copy
from pathlib import Path

import mmdet
import mmengine
import pytest
import torch
from helpers.batches import detection_batch, segmentation_batch
from helpers.zoo import CONFIGS, ROOT, complexity, config, metadata, metafile, names, read, readme_rows
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, init_default_scope

from convnext_dense.meta_device import build_on_meta
from convnext_dense.weights.published import PUBLISHED

FOLDERS = ['dino', 'mask2former', 'rtmdet']
MODELS_OF_FOLDERS = names(*FOLDERS)
MASK2FORMER = names('mask2former')
# What detrex and OpenMMLab publish; no other score is known.
SCORES = {
    'dino/dino-4scale_convnext-t-in22k-384x384-pre_8xb2-12e_coco.py': 52.4,
    'dino/dino-4scale_convnext-l-in22k-384x384-pre_8xb2-12e_coco.py': 55.5,
    'rtmdet/rtmdet_l_convnext-b_4xb32-100e_coco.py': 53.1,
}
IMAGE_SIZE = (64, 96)


def neck_or_head(model_cfg):
    """Whatever takes the backbone's maps."""
    return next(model_cfg[key] for key in ('neck', 'panoptic_head', 'decode_head') if key in model_cfg)


def shrunk(name):
    """A config with a shallow backbone of its own widths, small images, and few queries."""
    cfg = copy.deepcopy(config(name))
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


@pytest.mark.parametrize('name', MODELS_OF_FOLDERS)
def test_builds_and_its_parts_fit(name):
    cfg = config(name)
    model = build_on_meta(cfg.model, cfg.default_scope)
    assert type(model.backbone).__module__ == 'convnext_dense.backbones.convnext'
    widths = [model.backbone.channels[i] for i in model.backbone.out_indices]
    assert widths == list(neck_or_head(cfg.model).in_channels)
    assert cfg.model.backbone.init_cfg.checkpoint in PUBLISHED


@pytest.mark.parametrize('name', MODELS_OF_FOLDERS)
def test_takes_a_training_step(name):
    torch.manual_seed(0)
    cfg = shrunk(name)
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
    cfg = shrunk(name)
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
    ours = CONFIGS / 'rtmdet/rtmdet_l_convnext-b_4xb32-100e_coco.py'
    # mmdet's imports an mmpretrain that need not be here.
    own, theirs = (dict(leaves(read(file, import_custom_modules=False).to_dict())) for file in (ours, theirs))
    different = {key for key in own.keys() | theirs.keys() if own.get(key) != theirs.get(key)}
    assert different == {
        '.model.backbone.type',
        '.model.backbone.init_cfg.checkpoint',
        '.model.backbone.init_cfg.prefix',
        '.optim_wrapper.constructor',
        '.auto_scale_lr.base_batch_size',
        '.custom_imports.imports.0',
    }


@pytest.mark.parametrize('folder', FOLDERS)
def test_the_readme_and_the_metafile_list_each_config_once(folder):
    assert sorted(name for name, _ in readme_rows(folder)) == names(folder)
    assert sorted(model['Config'] for model in metafile(folder)['Models']) == [
        f'configs/{name}' for name in names(folder)
    ]
    (collection,) = metafile(folder)['Collections']
    assert collection['README'] == f'configs/{folder}/README.md'
    for model in metafile(folder)['Models']:
        assert model['In Collection'] == collection['Name']
        assert model['Config'] == f'configs/{folder}/{model["Name"]}.py'
    assert f'configs/{folder}/metafile.yml' in mmengine.load(ROOT / 'model-index.yml')['Import']


@pytest.mark.parametrize('name', MODELS_OF_FOLDERS)
def test_the_readme_and_the_metafile_say_what_the_config_is(name):
    row, said, measured, cfg = (
        dict(readme_rows(name.split('/')[0]))[name],
        metadata()[name],
        complexity(name),
        config(name),
    )
    assert row['pretrained'] == f'`{cfg.model.backbone.init_cfg.checkpoint}`'
    assert (row['params'], row['FLOPs']) == (f'{measured.params / 1e6:.0f}M', f'{measured.flops / 1e9:.0f}G')
    assert (said['Metadata']['Parameters'], said['Metadata']['FLOPs']) == (measured.params, measured.flops)
    assert said['Metadata'].get('Epochs', said['Metadata'].get('Iterations')) == cfg.train_cfg.get(
        'max_epochs', cfg.train_cfg.get('max_iters')
    )
    assert said['Metadata']['Batch Size'] == cfg.auto_scale_lr.base_batch_size
    gpus = 4 if '4xb32' in name else 8
    assert said['Metadata']['Batch Size'] == gpus * cfg.train_dataloader.batch_size
    scores = [metric for result in said.get('Results', []) for metric in result['Metrics'].values()]
    assert scores == ([SCORES[name]] if name in SCORES else [])
    assert row.get('box AP', '') == str(SCORES.get(name, ''))
    assert ('not published' in row.values()) == (name not in SCORES)
