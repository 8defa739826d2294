"""The configs of DINO, RTMDet and Mask2Former: their recipes, and a training step of each."""

import copy
from pathlib import Path

import mmdet
import mmseg
import pytest
from helpers.data.batches import detection_batch, segmentation_batch
from helpers.training_steps import assert_trains, build_for_training, make_shallow
from helpers.zoo import CONFIGS, config, differences, metadata, names, readme_rows, tiers, without_scopes
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

NAMES = names('dino', 'mask2former', 'rtmdet')
# What detrex and OpenMMLab publish; no other scores are known.
SCORES = {
    'dino/dino-4scale_convnext-t-in22k-384x384-pre_8xb2-12e_coco.py': 52.4,
    'dino/dino-4scale_convnext-s-in22k-384x384-pre_8xb2-12e_coco.py': 54.2,
    'dino/dino-4scale_convnext-b-in22k-384x384-pre_8xb2-12e_coco.py': 55.1,
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


# The larger ones differ in the backbone and in widths, which test_zoo.py shows to fit.
@pytest.mark.parametrize('name', tiers([name for name in NAMES if 'convnext-t' in name or 'rtmdet' in name], FAST))
def test_model_takes_a_training_step(name):
    cfg = shrink(name)
    if cfg.default_scope == 'mmseg':
        batch = segmentation_batch(cfg.model.decode_head.num_classes)
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


@pytest.mark.parametrize('name', tiers(names('mask2former'), {name for name in FAST if 'mask2former' in name}))
def test_mask2former_trains_the_backbone_at_a_tenth_of_the_rate(name):
    model, optim_wrapper = build_for_training(shrink(name))
    dimensions = {key: param.ndim for key, param in model.named_parameters()}
    for group in optim_wrapper.optimizer.param_groups:
        for key in group['param_names']:
            assert group['lr'] == pytest.approx(1e-5 if key.startswith('backbone.') else 1e-4), key
            is_embedding = any(part in key for part in ('query_embed', 'query_feat', 'level_embed'))
            # Norms, biases and LayerScale are vectors.
            assert group['weight_decay'] == (0 if dimensions[key] == 1 or is_embedding else 0.05), key


PRE = 'in22k-384x384-pre'
# Ours, and the config of OpenMMLab's with a Swin of that size.
SWINS = {
    's_8xb2-lsj-50e_coco': 'swin-s-p4-w7-224_8xb2-lsj-50e_coco',
    's_8xb2-lsj-50e_coco-panoptic': 'swin-s-p4-w7-224_8xb2-lsj-50e_coco-panoptic',
    f'b-{PRE}_8xb2-lsj-50e_coco-panoptic': 'swin-b-p4-w12-384-in21k_8xb2-lsj-50e_coco-panoptic',
    f'l-{PRE}_8xb2-lsj-100e_coco-panoptic': 'swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-panoptic',
    f'b-{PRE}_8xb2-160k_ade20k-640x640': f'swin-b-{PRE}_8xb2-160k_ade20k-640x640',
    f'l-{PRE}_8xb2-160k_ade20k-640x640': f'swin-l-{PRE}_8xb2-160k_ade20k-640x640',
    't_8xb2-90k_cityscapes-512x1024': 'swin-t_8xb2-90k_cityscapes-512x1024',
    's_8xb2-90k_cityscapes-512x1024': 'swin-s_8xb2-90k_cityscapes-512x1024',
    f'b-{PRE}_8xb2-90k_cityscapes-512x1024': f'swin-b-{PRE}_8xb2-90k_cityscapes-512x1024',
    f'l-{PRE}_8xb2-90k_cityscapes-512x1024': f'swin-l-{PRE}_8xb2-90k_cityscapes-512x1024',
}
# The parts of a config that say what is trained, on what and how long, and how it is tested.
PARTS = ('model', 'train_cfg', 'param_scheduler', 'train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.mark.parametrize(
    'ours', tiers(list(SWINS), {f'l-{PRE}_8xb2-lsj-100e_coco-panoptic', f'l-{PRE}_8xb2-160k_ade20k-640x640'})
)
def test_mask2former_is_openmmlabs_with_swin_except_for_the_backbone(ours):
    package = mmdet if 'coco' in ours else mmseg
    swin = Config.fromfile(Path(package.__file__).parent / '.mim/configs/mask2former' / f'mask2former_{SWINS[ours]}.py')
    ours = config(f'mask2former/mask2former_convnext-{ours}.py')
    parts = [{part: without_scopes(cfg.to_dict()[part]) for part in PARTS} for cfg in (swin, ours)]
    assert {key for key in differences(*parts) if not key.startswith('model.backbone.')} <= {
        # One image a process, on twice as many.
        *(('train_dataloader.batch_size', 'train_dataloader.num_workers') if '16xb1' in swin.filename else ()),
        # Images of any size in tests, as in mmseg's configs at 512.
        'model.data_preprocessor.test_cfg.size_divisor',
    }


def test_mask2former_at_640_trains_on_crops_and_tests_on_whole_images(tmp_path):
    paths = dict(img_path=str(tmp_path / 'image.jpg'), seg_map_path=str(tmp_path / 'map.png'))
    for path in paths.values():
        Image.new('RGB' if path.endswith('.jpg') else 'L', (400, 300)).save(path)
    cfg = config(f'mask2former/mask2former_convnext-b-{PRE}_8xb2-160k_ade20k-640x640.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        crop, image = (
            Compose(loader.dataset.pipeline)(dict(**paths, reduce_zero_label=True, seg_fields=[]))['inputs'].shape
            for loader in (cfg.train_dataloader, cfg.test_dataloader)
        )
    # 300 x 400 becomes 320 to 1280 high.
    assert 320 <= min(crop[1:]) <= max(crop[1:]) <= 640
    assert image == (3, 640, 853)


def test_the_longer_training_is_that_of_both_tasks():
    panoptic, instances = (
        config(f'mask2former/mask2former_convnext-l-{PRE}_8xb2-lsj-100e_coco{task}.py') for task in ('-panoptic', '')
    )
    assert differences(panoptic.train_cfg, instances.train_cfg) == {}
    assert differences(panoptic.param_scheduler, instances.param_scheduler) == {}
    assert panoptic.model.panoptic_head.num_queries == instances.model.panoptic_head.num_queries == 200


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
