"""The model zoo: what the folders' READMEs and metafiles say of the configs, against the configs and the models."""

import copy
import re

import mmengine
import numpy as np
import pytest
import torch
from helpers.zoo import CONFIGS, ROOT, complexity, config, metadata, metafile, names, readme_rows
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from convnext_dense.config.load import enable_tta
from convnext_dense.meta_device import build_on_meta, without_allocating
from convnext_dense.weights.published import PUBLISHED

FOLDERS = ['cascade_mask_rcnn', 'mask_rcnn', 'upernet']
ZOO = names(*FOLDERS)


def of(part):
    return [name for name in ZOO if part in name]


@pytest.mark.parametrize('name', [name for name in names() if name not in ZOO])
def test_a_config_outside_the_zoo_builds(name):
    cfg = config(name)
    # Building writes into the config.
    model = build_on_meta(copy.deepcopy(cfg.model), cfg.default_scope)
    assert sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize('folder', FOLDERS)
class TestFolder:
    def test_the_metafile_and_the_readme_list_each_config_once(self, folder):
        assert sorted(model['Config'] for model in metafile(folder)['Models']) == [
            f'configs/{name}' for name in names(folder)
        ]
        assert sorted(name for name, _ in readme_rows(folder)) == names(folder)

    def test_the_metafile_names_its_collection_and_its_models(self, folder):
        (collection,) = metafile(folder)['Collections']
        assert collection['README'] == f'configs/{folder}/README.md'
        for model in metafile(folder)['Models']:
            assert model['In Collection'] == collection['Name']
            assert model['Config'] == f'configs/{folder}/{model["Name"]}.py'

    def test_the_model_index_lists_the_metafile(self, folder):
        assert f'configs/{folder}/metafile.yml' in mmengine.load(ROOT / 'model-index.yml')['Import']

    def test_the_readme_names_only_weights_that_exist(self, folder):
        # Of the weights' names only, the words have underscores alone.
        weights = set(re.findall(r'(?<![\w/-])\w*convnext(?:v2)?_\w+', (CONFIGS / folder / 'README.md').read_text()))
        assert len(weights) > 10
        assert weights <= PUBLISHED.keys()


@pytest.mark.parametrize('name', ZOO)
class TestConfig:
    def test_the_metafile_has_its_complexity_and_its_length(self, name):
        measured, said = complexity(name), metadata()[name]['Metadata']
        assert (said['Parameters'], said['FLOPs']) == (measured.params, measured.flops)
        cfg = config(name)
        length = ('Epochs', cfg.train_cfg.max_epochs) if 'coco' in name else ('Iterations', cfg.train_cfg.max_iters)
        assert said[length[0]] == length[1]
        # Eight GPUs.
        assert said['Batch Size'] == 8 * cfg.train_dataloader.batch_size
        if 'coco' in name:
            assert said['Batch Size'] == cfg.auto_scale_lr.base_batch_size

    def test_the_readme_has_its_complexity_weights_and_scores(self, name):
        row = dict(readme_rows(name.split('/')[0]))[name]
        measured, model = complexity(name), metadata()[name]
        assert (row['params'], row['FLOPs']) == (f'{measured.params / 1e6:.0f}M', f'{measured.flops / 1e9:.0f}G')
        assert row['pretrained'] == f'`{config(name).model.backbone.init_cfg.checkpoint}`'
        scores = {key: value for each in model.get('Results', []) for key, value in each['Metrics'].items()}
        columns = {'box AP': 'box AP', 'mask AP': 'mask AP', 'mIoU': 'mIoU', 'ms + flip': 'mIoU(ms+flip)'}
        for column, metric in columns.items():
            assert row.get(column, '') == str(scores.get(metric, ''))
        trained = row.get('trained model', '').strip('`')
        assert model.get('Weights') == (PUBLISHED[trained].address if trained else None)

    def test_its_weights_are_of_its_architecture(self, name):
        backbone = config(name).model.backbone
        weights = backbone.init_cfg.checkpoint
        assert weights in PUBLISHED
        assert weights.split('_')[1] == backbone.arch
        is_v2 = weights.startswith('convnextv2')
        assert backbone.get('use_grn', False) == is_v2
        # V2 has no LayerScale.
        assert backbone.layer_scale_init_value == (0.0 if is_v2 else 1.0)

    def test_neck_and_heads_take_what_the_backbone_returns(self, name):
        model = config(name).model
        backbone = build_on_meta(model.backbone, config(name).default_scope)
        with without_allocating():
            widths = [feature.shape[1] for feature in backbone(torch.empty(1, 3, 64, 64))]
        if 'neck' in model:
            assert model.neck.in_channels == widths
        else:
            assert model.decode_head.in_channels == widths
            assert model.auxiliary_head.in_channels == widths[model.auxiliary_head.in_index]

    def test_the_decays_layers_fit_the_depth(self, name):
        cfg = config(name)
        third = build_on_meta(cfg.model.backbone, cfg.default_scope).depths[2]
        assert cfg.optim_wrapper.paramwise_cfg.num_layers == (6 if third <= 9 else 12)


@pytest.mark.parametrize('name', of('dinov3-frozen'))
def test_a_frozen_backbone_trains_its_output_norms_alone(name):
    cfg = config(name)
    backbone = build_on_meta(cfg.model.backbone, cfg.default_scope)
    trained = {name.split('.')[0] for name, param in backbone.named_parameters() if param.requires_grad}
    assert trained == {'norm0', 'norm1', 'norm2', 'norm3'}
    fine_tuned = config(name.replace('-frozen', ''))
    assert cfg.optim_wrapper == fine_tuned.optim_wrapper
    assert complexity(name) == complexity(name.replace('-frozen', ''))


@pytest.mark.parametrize('name', of('upernet'))
def test_multi_scale_is_the_papers_ratios_each_flipped(name):
    cfg = copy.deepcopy(config(name))
    enable_tta(cfg)
    load, augment = cfg.test_dataloader.dataset.pipeline
    assert load.type == 'LoadImageFromFile'
    resizes, flips, *_ = augment.transforms
    assert [resize.scale_factor for resize in resizes] == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert [flip.prob for flip in flips] == [0.0, 1.0]
    # Each view is slid over in windows of the training crop.
    assert cfg.model.module.test_cfg == config(name).model.test_cfg


@pytest.mark.parametrize('name', of('-1x_'))
def test_1x_is_mmdets_data_and_steps(name):
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


def test_lsj_is_mmdets_recipe_of_v2():
    """mmdet's own config of it is in its repository alone, and in no package."""
    cfg = config('mask_rcnn/mask-rcnn_convnext-v2-b_fpn_lsj-3x-fcmae_coco.py')
    wrapper = cfg.optim_wrapper
    assert (wrapper.optimizer.lr, wrapper.paramwise_cfg.decay_rate, wrapper.paramwise_cfg.num_layers) == (
        1e-4,
        0.95,
        12,
    )
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
        # All but reading the image and its annotations.
        jitter = Compose(cfg.train_dataloader.dataset.pipeline[2:-1])
    heights = [jitter(copy.deepcopy(sample))['img'].shape[0] for _ in range(20)]
    # 48 x 64 is 768 x 1024, times 0.1 to 2, and at most 1024 of it.
    assert 76 <= min(heights) < 768 < max(heights) <= 1024
