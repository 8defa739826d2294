"""The configs of published recipes, key by key against OpenMMLab's own of the same model."""

from pathlib import Path

import mmdet
import mmseg
import pytest
from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MMDET = Path(mmdet.__file__).parent / '.mim' / 'configs'
MMSEG = Path(mmseg.__file__).parent / '.mim' / 'configs'

PAIRS = {
    'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py': MMDET
    / 'convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py',
    'cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py': MMDET
    / 'convnext/cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py',
    'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py': MMSEG
    / 'convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',
}

# What may differ: where the backbone, its weights and the constructor come from.
OURS = {
    'custom_imports.imports',
    'checkpoint_file',
    'model.backbone.type',
    'model.backbone.init_cfg.checkpoint',
    'model.backbone.init_cfg.prefix',
    'optim_wrapper.constructor',
}


def flatten(value, key=''):
    """Yield each leaf of a config with its key; scopes, which say where a type is found, are dropped."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != '_scope_':
                yield from flatten(each, f'{key}.{name}' if key else name)
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from flatten(each, f'{key}[{i}]')
    elif isinstance(value, str):
        yield key, value.removeprefix('mmdet.').removeprefix('mmseg.')
    else:
        yield key, value


def leaves(file):
    """The leaves of what the runner reads; helper variables such as `crop_size` are no part of it."""
    cfg = Config.fromfile(file, import_custom_modules=False).to_dict()
    read = {
        'auto_scale_lr', 'custom_imports', 'default_hooks', 'default_scope', 'env_cfg', 'load_from', 'log_level',
        'log_processor', 'model', 'optim_wrapper', 'param_scheduler', 'resume', 'test_cfg', 'test_dataloader',
        'test_evaluator', 'train_cfg', 'train_dataloader', 'tta_model', 'tta_pipeline', 'val_cfg', 'val_dataloader',
        'val_evaluator', 'vis_backends', 'visualizer',
    }  # fmt: skip
    helpers = {
        'backend_args', 'checkpoint_file', 'crop_size', 'data_preprocessor', 'data_root', 'dataset_type',
        'img_ratios', 'max_epochs', 'multi_scale_resize', 'norm_cfg', 'optimizer', 'test_pipeline', 'train_pipeline',
    }  # fmt: skip
    assert cfg.keys() <= read | helpers, cfg.keys() - read - helpers
    return dict(flatten({key: value for key, value in cfg.items() if key in read}))


@pytest.mark.parametrize('ours', PAIRS)
def test_equals_openmmlabs_key_by_key(ours):
    own, theirs = leaves(CONFIGS / ours), leaves(PAIRS[ours])
    different = {key for key in own.keys() | theirs.keys() if own.get(key) != theirs.get(key)}
    assert {key.removesuffix('[0]') for key in different} <= OURS
    assert own['model.backbone.type'] == 'convnext_dense.ConvNeXt'


# From the papers' tables: learning rate, decay rate and type, layers, drop path.
@pytest.mark.parametrize(
    ('config', 'recipe'),
    zip(
        PAIRS,
        [
            (1e-4, 0.95, 'layer_wise', 6, 0.4),
            (2e-4, 0.7, 'layer_wise', 6, 0.4),
            (1e-4, 0.9, 'stage_wise', 6, 0.4),
        ],
        strict=True,
    ),
)
def test_states_the_published_recipe(config, recipe):
    cfg = Config.fromfile(CONFIGS / config)
    paramwise = cfg.optim_wrapper.paramwise_cfg
    assert (
        cfg.optim_wrapper.optimizer.lr,
        paramwise.decay_rate,
        paramwise.decay_type,
        paramwise.num_layers,
        cfg.model.backbone.drop_path_rate,
    ) == recipe
    assert cfg.optim_wrapper.optimizer.weight_decay == 0.05
    assert cfg.model.backbone.layer_scale_init_value == 1.0


@pytest.mark.parametrize(
    'name', [str(file.relative_to(CONFIGS)) for file in CONFIGS.rglob('*.py') if '_base_' not in file.parts]
)
def test_every_config_can_be_inherited_from_anywhere(tmp_path, name):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['convnext_dense::{name}']\n")
    inherited = dict(flatten(Config.fromfile(child).to_dict()))
    assert inherited == dict(flatten(Config.fromfile(CONFIGS / name).to_dict()))
