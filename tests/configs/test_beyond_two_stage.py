"""The configs of DINO, RTMDet and Mask2Former: their recipes, and a training step of each."""

import copy
from pathlib import Path

import mmdet
import pytest
from helpers.data.batches import detection_batch, segmentation_batch
from helpers.training_steps import assert_trains, build_for_training, make_shallow
from helpers.zoo import CONFIGS, config, differences, metadata, names, readme_rows, tiers
from mmengine.config import Config

NAMES = names('dino', 'mask2former', 'rtmdet')
# What detrex and OpenMMLab publish; no other scores are known.
SCORES = {
    'dino/dino-4scale_convnext-t-in22k-384x384-pre_8xb2-12e_coco.py': 52.4,
    'dino/dino-4scale_convnext-l-in22k-384x384-pre_8xb2-12e_coco.py': 55.5,
    'rtmdet/rtmdet_l_convnext-b_4xb32-100e_coco.py': 53.1,
}
FAST = {
    'dino/dino-4scale_convnext-t_8xb2-12e_coco.py',
    'mask2former/mask2former_convnext-t_8xb2-160k_ade20k-512x512.py',
    'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py',
    'rtmdet/rtmdet_m_convnext-t_4xb32-100e_coco.py',
}
IMAGE_SIZE = (64, 96)


def shrink(name):
    """Return a config with a shallow backbone of the same widths, small images, and few queries and points."""
    cfg = copy.deepcopy(config(name))
    make_shallow(cfg)
    model = cfg.model
    for part in (model, model.get('panoptic_head', {}), model.get('decode_head', {})):
        if 'num_queries' in part:
            part.num_queries = 20
        if 'num_points' in (part.get('train_cfg') or {}):
            part.train_cfg.num_points = 500
    for augment in model.data_preprocessor.get('batch_augments') or []:
        augment.size = IMAGE_SIZE
    if 'size' in model.data_preprocessor:
        model.data_preprocessor.size = IMAGE_SIZE
    return cfg


@pytest.mark.parametrize('name', tiers(NAMES, FAST))
def test_model_takes_a_training_step(name):
    cfg = shrink(name)
    if cfg.default_scope == 'mmseg':
        batch = segmentation_batch()
    else:
        # As their pipelines load it: RTMDet would take a mask for the box's center.
        batch = detection_batch(with_mask='panoptic_head' in cfg.model)
    assert_trains(cfg, batch)


@pytest.mark.parametrize('name', NAMES)
def test_metafile_and_readme_have_the_published_scores(name):
    row = dict(readme_rows(name.split('/')[0]))[name]
    scores = [score for result in metadata()[name].get('Results', []) for score in result['Metrics'].values()]
    assert scores == ([SCORES[name]] if name in SCORES else [])
    assert row.get('box AP', '') == str(SCORES.get(name, ''))
    assert ('not published' in row.values()) == (name not in SCORES)


@pytest.mark.parametrize('name', names('mask2former'))
def test_mask2former_trains_the_backbone_at_a_tenth_of_the_rate(name):
    model, optim_wrapper = build_for_training(shrink(name))
    dimensions = {key: param.ndim for key, param in model.named_parameters()}
    for group in optim_wrapper.optimizer.param_groups:
        for key in group['param_names']:
            assert group['lr'] == pytest.approx(1e-5 if key.startswith('backbone.') else 1e-4), key
            is_embedding = any(part in key for part in ('query_embed', 'query_feat', 'level_embed'))
            # Norms, biases and LayerScale are vectors.
            assert group['weight_decay'] == (0 if dimensions[key] == 1 or is_embedding else 0.05), key


def test_rtmdet_l_is_mmdets_except_for_backbone_type_and_weights():
    mmdets = Path(mmdet.__file__).parent / '.mim/configs/rtmdet/rtmdet_l_convnext_b_4xb32-100e_coco.py'
    ours = CONFIGS / 'rtmdet/rtmdet_l_convnext-b_4xb32-100e_coco.py'
    # mmdet's imports mmpretrain, which need not be installed.
    assert differences(*(Config.fromfile(file, import_custom_modules=False) for file in (mmdets, ours))).keys() == {
        'model.backbone.type',
        'model.backbone.init_cfg.checkpoint',
        'model.backbone.init_cfg.prefix',
        'optim_wrapper.constructor',
        'auto_scale_lr.base_batch_size',
        'custom_imports.imports',
    }
