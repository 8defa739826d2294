"""The configs of published recipes, compared with OpenMMLab's own key by key, and with the papers."""

from pathlib import Path
from typing import NamedTuple

import mmdet
import mmseg
import pytest
from helpers.zoo import CONFIGS, config, differences, metadata, names, without_scopes
from mmengine.config import Config

MMDET = Path(mmdet.__file__).parent / '.mim' / 'configs' / 'convnext'
MMSEG = Path(mmseg.__file__).parent / '.mim' / 'configs' / 'convnext'

CASCADE = 'cascade_mask_rcnn/cascade-mask-rcnn_convnext-{}_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
MASK = 'mask_rcnn/mask-rcnn_convnext-{}_fpn_amp-ms-crop-3x_coco.py'
LSJ = 'mask_rcnn/mask-rcnn_convnext-{}_fpn_lsj-3x-fcmae_coco.py'
UPERNET = 'upernet/upernet_convnext-{}_8xb2-amp-160k_ade20k-{}x{}.py'

PAIRS = {
    MASK.format('t'): MMDET / 'mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py',
    **{
        CASCADE.format(size): MMDET
        / f'cascade-mask-rcnn_convnext-{size}-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
        for size in 'ts'
    },
    **{
        UPERNET.format(ours, crop, crop): MMSEG / f'convnext-{size}_upernet_8xb2-amp-160k_ade20k-{crop}x{crop}.py'
        for ours, size, crop in [
            ('t', 'tiny', 512),
            ('s', 'small', 512),
            ('b', 'base', 512),
            ('b-in22k', 'base', 640),
            ('l-in22k', 'large', 640),
            ('xl-in22k', 'xlarge', 640),
        ]
    },
}


class Recipe(NamedTuple):
    """A row of the papers' tables; scores are box and mask AP, or mIoU at one scale and at several with flips."""

    weights: str
    lr: float
    decay_rate: float
    num_layers: int
    drop_path: float
    scores: tuple[float, float]
    params: int  # millions
    flops: int  # billions


# The ConvNeXt authors' READMEs, and their configs.
DETECTORS = {
    MASK.format('t'): Recipe('tiny_in1k_noema', 1e-4, 0.95, 6, 0.4, (46.2, 41.7), 48, 262),
    CASCADE.format('t'): Recipe('tiny_in1k_noema', 2e-4, 0.7, 6, 0.4, (50.4, 43.7), 86, 741),
    CASCADE.format('s'): Recipe('small_in1k_noema', 2e-4, 0.7, 12, 0.6, (51.9, 45.0), 108, 827),
    CASCADE.format('b'): Recipe('base_in1k_noema', 2e-4, 0.8, 12, 0.7, (52.7, 45.6), 146, 964),
    CASCADE.format('b-in22k'): Recipe('base_in22k', 1e-4, 0.8, 12, 0.6, (54.0, 46.9), 146, 964),
    CASCADE.format('l-in22k'): Recipe('large_in22k', 1e-4, 0.7, 12, 0.7, (54.8, 47.6), 255, 1354),
    CASCADE.format('xl-in22k'): Recipe('xlarge_in22k', 1e-4, 0.7, 12, 0.8, (55.2, 47.7), 407, 1898),
}
SEGMENTERS = {
    UPERNET.format('t', 512, 512): Recipe('tiny_in1k_noema', 1e-4, 0.9, 6, 0.4, (46.0, 46.7), 60, 939),
    UPERNET.format('s', 512, 512): Recipe('small_in1k_noema', 1e-4, 0.9, 12, 0.3, (48.7, 49.6), 82, 1027),
    UPERNET.format('b', 512, 512): Recipe('base_in1k_noema', 1e-4, 0.9, 12, 0.4, (49.1, 49.9), 122, 1170),
    UPERNET.format('b-in22k', 640, 640): Recipe('base_in22k', 1e-4, 0.9, 12, 0.4, (52.6, 53.1), 122, 1828),
    UPERNET.format('l-in22k', 640, 640): Recipe('large_in22k', 1e-4, 0.9, 12, 0.4, (53.2, 53.7), 235, 2458),
    UPERNET.format('xl-in22k', 640, 640): Recipe('xlarge_in22k', 8e-5, 0.9, 12, 0.4, (53.6, 54.0), 391, 3335),
}
# Models published with another recipe, in VMamba's and ConvNeXt V2's papers: millions of parameters, billions of FLOPs.
COMPLEXITIES = {
    MASK.format('s'): (70, 348),
    MASK.format('v2-b'): (None, 486),
    MASK.format('v2-l'): (None, 875),
    MASK.format('v2-h'): (None, 2525),
    LSJ.format('v2-b'): (None, 486),
    LSJ.format('v2-l'): (None, 875),
    LSJ.format('v2-h'): (None, 2525),
    UPERNET.format('v2-b', 512, 512): (122, 1170),
    UPERNET.format('v2-l', 512, 512): (235, 1573),
    UPERNET.format('v2-h', 512, 512): (707, 3272),
    UPERNET.format('v2-h-in22k', 640, 640): (707, 5113),
}

# What may differ from OpenMMLab's: where the backbone, its weights and the constructor come from.
OURS = {
    'custom_imports.imports',
    'checkpoint_file',
    'model.backbone.type',
    'model.backbone.init_cfg.checkpoint',
    'model.backbone.init_cfg.prefix',
    'optim_wrapper.constructor',
}


# What the runner reads, and helper variables such as `crop_size`, which it does not.
RUNNER_KEYS = {
    'auto_scale_lr', 'custom_imports', 'default_hooks', 'default_scope', 'env_cfg', 'load_from', 'log_level',
    'log_processor', 'model', 'optim_wrapper', 'param_scheduler', 'resume', 'test_cfg', 'test_dataloader',
    'test_evaluator', 'train_cfg', 'train_dataloader', 'tta_model', 'tta_pipeline', 'val_cfg', 'val_dataloader',
    'val_evaluator', 'vis_backends', 'visualizer',
}  # fmt: skip
HELPER_VARIABLES = {
    'backend_args', 'checkpoint_file', 'crop_size', 'data_preprocessor', 'data_root', 'dataset_type',
    'img_ratios', 'max_epochs', 'multi_scale_resize', 'norm_cfg', 'optimizer', 'test_pipeline', 'train_pipeline',
}  # fmt: skip


def read_for_runner(file):
    cfg = Config.fromfile(file, import_custom_modules=False).to_dict()
    assert cfg.keys() <= RUNNER_KEYS | HELPER_VARIABLES, cfg.keys() - RUNNER_KEYS - HELPER_VARIABLES
    return without_scopes({key: value for key, value in cfg.items() if key in RUNNER_KEYS})


@pytest.mark.parametrize('name', PAIRS)
def test_config_equals_openmmlabs_key_by_key(name):
    ours = read_for_runner(CONFIGS / name)
    assert differences(read_for_runner(PAIRS[name]), ours).keys() <= OURS
    assert ours['model']['backbone']['type'] == 'convnext_dense.ConvNeXt'


def test_every_convnext_config_of_openmmlab_is_compared():
    assert {*MMDET.glob('*.py'), *MMSEG.glob('*.py')} == set(PAIRS.values())


@pytest.mark.parametrize(('name', 'recipe'), (DETECTORS | SEGMENTERS).items())
class TestPublishedRecipe:
    def test_config_trains_by_it(self, name, recipe):
        cfg = config(name)
        wrapper, backbone = cfg.optim_wrapper, cfg.model.backbone
        assert backbone.init_cfg.checkpoint == f'convnext_{recipe.weights}'
        assert wrapper.type == 'AmpOptimWrapper'
        assert wrapper.constructor == 'convnext_dense.LayerDecayOptimWrapperConstructor'
        assert wrapper.optimizer == dict(type='AdamW', lr=recipe.lr, betas=(0.9, 0.999), weight_decay=0.05)
        assert wrapper.paramwise_cfg == dict(
            decay_rate=recipe.decay_rate,
            decay_type='layer_wise' if name in DETECTORS else 'stage_wise',
            num_layers=recipe.num_layers,
        )
        assert backbone.drop_path_rate == recipe.drop_path
        assert backbone.layer_scale_init_value == 1.0
        assert cfg.train_dataloader.batch_size == 2

    def test_metafile_has_its_complexity_and_scores(self, name, recipe):
        assert_complexity(name, recipe.params, recipe.flops)
        first, *rest = metadata()[name]['Results']
        if name in DETECTORS:
            assert (first['Metrics']['box AP'], rest[0]['Metrics']['mask AP']) == recipe.scores
        else:
            assert (first['Metrics']['mIoU'], first['Metrics']['mIoU(ms+flip)']) == recipe.scores


@pytest.mark.parametrize(('name', 'published'), COMPLEXITIES.items())
def test_metafile_has_the_published_complexity(name, published):
    assert_complexity(name, *published)


def assert_complexity(name, params, flops):
    """Compare a metafile's figures with the published ones; test_zoo.py compares them with the measured ones."""
    said = metadata()[name]['Metadata']
    assert params in (None, round(said['Parameters'] / 1e6))
    assert said['FLOPs'] / 1e9 == pytest.approx(flops, rel=0.002)


def test_only_published_models_have_scores():
    scored = {name for name, model in metadata().items() if 'Results' in model and name.split('/')[0] in FOLDERS}
    assert scored == {*DETECTORS, *SEGMENTERS, LSJ.format('v2-b')}


# Every size and pre-training in these folders has the published schedule.
FOLDERS = ('cascade_mask_rcnn', 'mask_rcnn', 'upernet')


@pytest.mark.parametrize('name', [name for name in names(*FOLDERS[:2]) if 'ms-crop-3x' in name])
def test_detector_has_the_published_schedule(name):
    cfg = config(name)
    warm_up, steps = cfg.param_scheduler
    assert warm_up == dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000)
    assert steps == dict(type='MultiStepLR', begin=0, end=36, by_epoch=True, milestones=[27, 33], gamma=0.1)
    assert cfg.train_cfg.max_epochs == 36
    assert cfg.train_dataloader.batch_size == 2
    # The published data, compared with mmdet's key by key above.
    assert cfg.train_dataloader == config(MASK.format('t')).train_dataloader


@pytest.mark.parametrize('name', names('upernet'))
def test_segmenter_has_the_published_schedule_and_windows(name):
    cfg = config(name)
    crop, stride = (640, 426) if '640x640' in name else (512, 341)
    warm_up, poly = cfg.param_scheduler
    assert warm_up == dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500)
    assert poly == dict(type='PolyLR', power=1.0, begin=1500, end=160000, eta_min=0.0, by_epoch=False)
    assert cfg.train_cfg.max_iters == 160000
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=(crop, crop), stride=(stride, stride))
    assert cfg.model.data_preprocessor.size == (crop, crop)
    (random_crop,) = [step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    assert random_crop.crop_size == (crop, crop)
    (resize,) = [step for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize']
    assert resize.scale == (4 * crop, crop)


# The V2 authors chose the decay rate, the drop path and, on ADE20K, the learning rate for each model from these, and do
# not say which: ConvNeXt V2, appendices A.3 and A.4.
@pytest.mark.parametrize('name', [name for name in names(*FOLDERS[:2]) if 'lsj' in name])
def test_lsj_is_among_what_the_v2_authors_tried(name):
    cfg = config(name)
    wrapper, rcnn = cfg.optim_wrapper, cfg.model.test_cfg.rcnn
    assert wrapper.optimizer == dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    assert wrapper.paramwise_cfg.decay_rate in (0.9, 0.95)
    assert wrapper.paramwise_cfg.decay_type == 'layer_wise'
    assert cfg.model.backbone.drop_path_rate in (0.2, 0.3, 0.4, 0.5)
    assert (8 * cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs) == (32, 36)
    assert (rcnn.nms, cfg.model.test_cfg.rpn.nms.type) == (dict(type='soft_nms', iou_threshold=0.5), 'nms')
    # test_zoo.py looks at what it does.
    assert cfg.train_dataloader == config(LSJ.format('v2-b')).train_dataloader


@pytest.mark.parametrize('size', 'blh')
def test_v2_at_640_is_among_what_the_v2_authors_tried(size):
    cfg = config(UPERNET.format(f'v2-{size}-in22k', 640, 640))
    assert cfg.optim_wrapper.optimizer.lr in (1e-4, 2e-4, 3e-4)
    assert cfg.optim_wrapper.optimizer.weight_decay == 0.05
    assert cfg.optim_wrapper.paramwise_cfg.decay_rate in (0.8, 0.9)
    assert cfg.model.backbone.drop_path_rate in (0.1, 0.2, 0.3, 0.4)
