"""The model zoo: the configs, the models that they build, and what READMEs and metafiles state about both."""

import copy
import re

import mmengine
import numpy as np
import pytest
from helpers.zoo import CONFIGS, ROOT, config, differences, metadata, metafile, names, readme_rows, tiers
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from convnext_dense.analysis.complexity import measure_complexity
from convnext_dense.apis.environment import package_versions
from convnext_dense.backbones import TimmBackbone
from convnext_dense.config.testing import enable_tta
from convnext_dense.meta_device import build_on_meta
from convnext_dense.weights.published import PUBLISHED

# Every size and pre-training of the models that were published.
ZOO_FOLDERS = ('cascade_mask_rcnn', 'mask_rcnn', 'upernet')
ZOO = names(*ZOO_FOLDERS)
MODELS = [name for name in names() if not name.startswith('demo/')]
# One of each kind of model, head, pre-training and image size.
FAST = {
    'cascade_mask_rcnn/cascade-mask-rcnn_convnext-b-in22k_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py',
    'd_fine/d-fine_convnext-l-dinov3_8xb4-80e_coco.py',
    'd_fine/d-fine_hgnetv2-b4_8xb4-80e_coco.py',
    'd_fine/rtdetrv2_r50-d_8xb2-72e_coco.py',
    'dino/dino-4scale_convnext-t_8xb2-12e_coco.py',
    'mask2former/mask2former_convnext-t_8xb2-160k_ade20k-512x512.py',
    'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py',
    'mask_rcnn/mask-rcnn_convnext-s-dinov3-frozen_fpn_amp-ms-crop-3x_coco.py',
    'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py',
    'mask_rcnn/mask-rcnn_convnext-v2-b_fpn_lsj-3x-fcmae_coco.py',
    'roadmap/mask-rcnn_roadmap-00-resnet-50_fpn_amp-1x_coco.py',
    'roadmap/mask-rcnn_convnext-t-bn_fpn_8xb2-amp-1x_coco.py',
    'roadmap/upernet_roadmap-04-width-96_8xb2-amp-160k_ade20k-512x512.py',
    'rtmdet/rtmdet_m_convnext-t_4xb32-100e_coco.py',
    'upernet/upernet_convnext-l-in22k_8xb2-amp-160k_ade20k-640x640.py',
    'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py',
    'upernet/upernet_convnext-v2-a_8xb2-amp-160k_ade20k-512x512.py',
}


def zoo(part):
    return [name for name in ZOO if part in name]


@pytest.mark.parametrize('name', tiers(MODELS, FAST))
def test_model_has_the_stated_figures_and_its_parts_fit(name):
    if name.startswith('dino/') and package_versions('onedl-mmdetection'):
        pytest.skip("OneDL's DINO has a wider layer: docs/start/install.md")
    cfg, said = config(name), metadata()[name]['Metadata']
    # It runs an image through backbone, neck and heads, and so fails where their widths differ.
    measured = measure_complexity(cfg)
    assert (said['Parameters'], said['FLOPs']) == (measured.params, measured.flops)
    backbone = build_on_meta(cfg.model.backbone, cfg.default_scope)
    assert type(backbone).__module__.startswith('convnext_dense.backbones.')
    # Those of timm are of the maps that are taken.
    is_timms = isinstance(backbone, TimmBackbone)
    widths = list(backbone.channels) if is_timms else [backbone.channels[i] for i in backbone.out_indices]
    takes_maps = next(cfg.model[key] for key in ('neck', 'panoptic_head', 'decode_head') if key in cfg.model)
    assert list(takes_maps.in_channels) == widths
    if 'auxiliary_head' in cfg.model:
        assert cfg.model.auxiliary_head.in_channels == widths[cfg.model.auxiliary_head.in_index]
    if name in ZOO:
        assert cfg.optim_wrapper.paramwise_cfg.num_layers == (6 if backbone.depths[2] <= 9 else 12)
    if 'frozen' in name:
        trained = {key.split('.')[0] for key, param in backbone.named_parameters() if param.requires_grad}
        assert trained == {'norm0', 'norm1', 'norm2', 'norm3'}


@pytest.mark.parametrize('name', names('demo'))
def test_demo_model_builds(name):
    model = build_on_meta(config(name).model, config(name).default_scope)
    assert sum(param.numel() for param in model.parameters())


@pytest.mark.parametrize('name', MODELS)
def test_readme_and_metafile_state_what_the_config_is(name):
    cfg, model = config(name), metadata()[name]
    folder, said = name.split('/')[0], model['Metadata']
    assert (said.get('Epochs'), said.get('Iterations')) == (
        cfg.train_cfg.get('max_epochs'),
        cfg.train_cfg.get('max_iters'),
    )
    gpus = 4 if '4xb32' in name else 8
    assert said['Batch Size'] == gpus * cfg.train_dataloader.batch_size
    if 'coco' in name or 'auto_scale_lr' in cfg:
        assert said['Batch Size'] == cfg.auto_scale_lr.base_batch_size

    row = dict(readme_rows(folder))[name]
    assert (row['params'], row['FLOPs']) == (f'{said["Parameters"] / 1e6:.0f}M', f'{said["FLOPs"] / 1e9:.0f}G')
    if folder != 'roadmap':
        assert row['pretrained'] == f'`{cfg.model.backbone.init_cfg.checkpoint}`'
        assert cfg.model.backbone.init_cfg.checkpoint in PUBLISHED or 'timm://' in row['pretrained']


@pytest.mark.parametrize('name', ZOO)
def test_readme_has_the_metafiles_scores_and_trained_model(name):
    row, model = dict(readme_rows(name.split('/')[0]))[name], metadata()[name]
    scores = {key: score for result in model.get('Results', []) for key, score in result['Metrics'].items()}
    columns = {'box AP': 'box AP', 'mask AP': 'mask AP', 'mIoU': 'mIoU', 'ms + flip': 'mIoU(ms+flip)'}
    for column, metric in columns.items():
        assert row.get(column, '') == str(scores.get(metric, ''))
    trained = row.get('trained model', '').strip('`')
    assert model.get('Weights') == (PUBLISHED[trained].address if trained else None)


@pytest.mark.parametrize('folder', sorted({name.split('/')[0] for name in MODELS}))
class TestFolder:
    def test_metafile_and_readme_list_every_config_once(self, folder):
        assert sorted(model['Config'] for model in metafile(folder)['Models']) == [
            f'configs/{name}' for name in names(folder)
        ]
        assert sorted(name for name, _ in readme_rows(folder)) == names(folder)

    def test_metafile_names_its_models_and_their_collection(self, folder):
        collections = {collection['Name']: collection for collection in metafile(folder).get('Collections', [])}
        assert all(collection['README'] == f'configs/{folder}/README.md' for collection in collections.values())
        # The roadmap's models are in the collections of other folders.
        assert len(collections) == (folder != 'roadmap')
        for model in metafile(folder)['Models']:
            assert model['In Collection'] in (collections or ('Mask R-CNN', 'UPerNet'))
            assert model['Config'] == f'configs/{folder}/{model["Name"]}.py'

    def test_model_index_lists_the_metafile(self, folder):
        assert f'configs/{folder}/metafile.yml' in mmengine.load(ROOT / 'model-index.yml')['Import']


@pytest.mark.parametrize('folder', ZOO_FOLDERS)
def test_readme_names_only_weights_that_exist(folder):
    # Names of weights are the words of underscores alone.
    weights = set(re.findall(r'(?<![\w/-])\w*convnext(?:v2)?_\w+', (CONFIGS / folder / 'README.md').read_text()))
    assert len(weights) > 10
    assert weights <= PUBLISHED.keys()


@pytest.mark.parametrize('name', ZOO)
def test_weights_are_of_the_backbones_architecture(name):
    backbone = config(name).model.backbone
    weights = backbone.init_cfg.checkpoint
    assert weights.split('_')[1] == backbone.arch
    is_v2 = weights.startswith('convnextv2')
    assert backbone.get('use_grn', False) == is_v2
    # V2 has no LayerScale.
    assert backbone.layer_scale_init_value == (0.0 if is_v2 else 1.0)


@pytest.mark.parametrize('name', zoo('dinov3-frozen'))
def test_frozen_model_trains_and_costs_as_the_fine_tuned_one(name):
    fine_tuned = name.replace('-frozen', '')
    assert config(name).optim_wrapper == config(fine_tuned).optim_wrapper
    said, of_fine_tuned = (metadata()[model]['Metadata'] for model in (name, fine_tuned))
    assert (said['Parameters'], said['FLOPs']) == (of_fine_tuned['Parameters'], of_fine_tuned['FLOPs'])


@pytest.mark.parametrize(
    'name', tiers(names(), {names(file.name)[0] for file in CONFIGS.glob('[!_]*') if file.is_dir()})
)
def test_config_can_be_inherited_from_anywhere(name, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['convnext_dense::{name}']\n")
    assert not differences(config(name), Config.fromfile(child))


@pytest.mark.parametrize('name', zoo('upernet'))
def test_tta_has_the_papers_scales_and_flips(name):
    cfg = copy.deepcopy(config(name))
    enable_tta(cfg)
    load, augment = cfg.test_dataloader.dataset.pipeline
    assert load.type == 'LoadImageFromFile'
    resizes, flips, *_ = augment.transforms
    assert [resize.scale_factor for resize in resizes] == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert [flip.prob for flip in flips] == [0.0, 1.0]
    # A window of the training crop's size slides over each view.
    assert cfg.model.module.test_cfg == config(name).model.test_cfg


@pytest.mark.parametrize('name', zoo('-1x_'))
def test_1x_has_mmdets_data_and_steps(name):
    cfg, plain = config(name), config('mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py')
    assert cfg.train_cfg.max_epochs == 12
    assert cfg.param_scheduler[1].milestones == [8, 11]
    assert cfg.param_scheduler[1].end == 12
    assert cfg.param_scheduler[0] == plain.param_scheduler[0]
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert [step.type for step in pipeline][2:4] == ['Resize', 'RandomFlip']
    assert pipeline[2].scale == (1333, 800)
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.optim_wrapper.optimizer == plain.optim_wrapper.optimizer


def test_lsj_has_mmdets_recipe_of_v2():
    """mmdet's own config for it is only in its repository, in no package."""
    cfg = config('mask_rcnn/mask-rcnn_convnext-v2-b_fpn_lsj-3x-fcmae_coco.py')
    wrapper = cfg.optim_wrapper
    assert wrapper.optimizer.lr == 1e-4
    assert (wrapper.paramwise_cfg.decay_rate, wrapper.paramwise_cfg.num_layers) == (0.95, 12)
    assert cfg.model.backbone.drop_path_rate == 0.4
    assert cfg.model.test_cfg.rcnn.nms == dict(type='soft_nms', iou_threshold=0.5)
    assert cfg.model.test_cfg.rpn.nms.type == 'nms'
    assert cfg.train_dataloader.batch_size == 4

    image = np.random.randint(256, size=(48, 64, 3), dtype=np.uint8)
    sample = dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=HorizontalBoxes([[8.0, 8.0, 40.0, 40.0]]),
        gt_bboxes_labels=np.array([1]),
        gt_ignore_flags=np.array([False]),
        gt_masks=BitmapMasks(np.ones((1, 48, 64), dtype=np.uint8), 48, 64),
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        # All steps except for reading the image and its annotations, and packing.
        jitter = Compose(cfg.train_dataloader.dataset.pipeline[2:-1])
    heights = [jitter(copy.deepcopy(sample))['img'].shape[0] for _ in range(20)]
    # 48 x 64 is 768 x 1024, times 0.1 to 2, and at most 1024 of it.
    assert 76 <= min(heights) < 768 < max(heights) <= 1024
