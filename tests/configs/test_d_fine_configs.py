"""The configs of D-FINE and RT-DETRv2: their rates, their images, and a training step of each kind."""

import copy
import re

import numpy as np
import pytest
import torch
from helpers.data.batches import detection_batch
from helpers.rate_curves import rate_curve
from helpers.training_steps import build_for_training, make_shallow
from helpers.zoo import ROOT, config, metadata, names, readme_rows, tiers
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from convnext_dense.meta_device import build_on_meta
from convnext_dense.weights.published import PUBLISHED

NAMES = names('d_fine')
BASE = 'd_fine/d-fine_convnext-t-dinov3_8xb4-80e_coco.py'
LARGE = 'd_fine/d-fine_convnext-l-dinov3_8xb4-80e_coco.py'
DEIM = 'd_fine/d-fine_convnext-t-dinov3_8xb4-deim-58e_coco.py'
D_FINE_L = 'd_fine/d-fine_hgnetv2-b4_8xb4-80e_coco.py'
RTDETRV2 = 'd_fine/rtdetrv2_r50-d_8xb2-72e_coco.py'
# The authors' own.
SCORES = {D_FINE_L: 54.0, RTDETRV2: 53.4}
# Millions of parameters of the authors' other sizes, as they state them.
PARAMETERS = {'D-FINE-N': 4, 'D-FINE-S': 10, 'D-FINE-M': 19, 'D-FINE-X': 62}
PARAMETERS |= {'RT-DETRv2-S': 20, 'RT-DETRv2-M*': 31, 'RT-DETRv2-M': 36, 'RT-DETRv2-X': 76}
# In an epoch: warm-up ends before the rate falls.
STEPS = 100


def shrink(name):
    """Return a config with a shallow backbone of the same widths, and a narrow neck and head of few queries."""
    cfg = copy.deepcopy(config(name))
    if cfg.model.backbone.type == 'convnext_dense.ConvNeXt':
        make_shallow(cfg)
    cfg.model.backbone.init_cfg = None
    cfg.model.data_preprocessor.batch_augments[0].random_size_range = (64, 96)
    narrow = dict(num_heads=4, feedforward_channels=32)
    cfg.model.neck.update(out_channels=32, **narrow)
    cfg.model.bbox_head.update(in_channels=[32] * 3, dims=32, num_queries=20, num_layers=2, num_denoising=10, **narrow)
    return cfg


@pytest.mark.parametrize('name', tiers(NAMES, {DEIM}))
def test_model_takes_a_training_step(name):
    cfg = shrink(name)
    torch.manual_seed(0)
    model, optim_wrapper = build_for_training(cfg)
    before = copy.deepcopy(model.backbone.state_dict())
    with DefaultScope.overwrite_default_scope('mmdet'):
        losses = model.train_step(detection_batch(with_mask=False), optim_wrapper)
    assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())
    assert ('loss_fgl' in losses) == (name != RTDETRV2)
    assert any(not torch.equal(tensor, before[key]) for key, tensor in model.backbone.state_dict().items())


@pytest.mark.parametrize(
    ('name', 'lr', 'share'),
    [(BASE, 2.5e-4, 0.05), (LARGE, 2.5e-4, 0.01), (DEIM, 5e-4, 0.05), (RTDETRV2, 1e-4, 0.1)],
)
def test_backbone_trains_at_a_share_of_the_rate(name, lr, share):
    model, optim_wrapper = build_for_training(shrink(name))
    dimensions = {key: param.ndim for key, param in model.named_parameters()}
    decay = config(name).optim_wrapper.optimizer.weight_decay
    for group in optim_wrapper.optimizer.param_groups:
        for key in group['param_names']:
            assert group['lr'] == pytest.approx(lr * share if key.startswith('backbone.') else lr), key
            # Norms, biases and LayerScale are vectors.
            assert group['weight_decay'] == (0 if dimensions[key] == 1 else decay), key


class TestSchedule:
    @pytest.mark.parametrize(('name', 'flat', 'plain'), [(BASE, 40, 72), (DEIM, 29, 50)])
    def test_rate_is_flat_and_falls_to_its_half_before_the_plain_epochs(self, name, flat, plain):
        rates = rate_curve(config(name), STEPS)
        warm_up = config(name).param_scheduler[0].end
        assert rates[0] < 0.01
        assert rates[warm_up : flat * STEPS] == pytest.approx([1.0] * (flat * STEPS - warm_up))
        assert rates[flat * STEPS : plain * STEPS] == sorted(rates[flat * STEPS : plain * STEPS], reverse=True)
        assert rates[plain * STEPS :] == pytest.approx([0.5] * (len(rates) - plain * STEPS), abs=0.001)

    @pytest.mark.parametrize('name', SCORES)
    def test_the_authors_rate_is_flat_to_the_end(self, name):
        assert rate_curve(config(name), STEPS)[-1] == pytest.approx(1.0)

    @pytest.mark.parametrize('name', NAMES)
    def test_last_epochs_have_neither_augmentation_nor_sizes_by_batch(self, name):
        cfg = config(name)
        average, *switches = cfg.custom_hooks
        assert (average.momentum, average.ema_type) == (0.0001, 'mmdet.ExpMomentumEMA')
        epochs = [switch.switch_epoch for switch in switches]
        # Both at once, and a pipeline of a later epoch after those of earlier ones, so that a resumed run has the last.
        assert epochs == sorted(epochs)
        assert epochs[-1] == epochs[-2] < cfg.train_cfg.max_epochs
        assert switches[-2].switch_pipeline == cfg.plain_pipeline
        assert cfg.train_cfg.dynamic_intervals == [(epochs[-1], 1)]


def make_sample():
    image = np.random.randint(256, size=(120, 160, 3), dtype=np.uint8)
    return dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=HorizontalBoxes([[8.0, 8.0, 60.0, 50.0], [70.0, 20.0, 150.0, 110.0]]),
        gt_bboxes_labels=np.array([1, 2]),
        gt_ignore_flags=np.array([False, False]),
    )


def augmented(pipeline, count=30):
    """Return samples after all steps except for reading the image and its annotations, and packing."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        transform = Compose(pipeline[2:-1])
    return [transform(make_sample()) for _ in range(count)]


class TestImages:
    @pytest.mark.parametrize('pipeline', ['train_pipeline', 'plain_pipeline', 'dense_pipeline'])
    def test_have_one_size_and_boxes_inside(self, pipeline):
        for sample in augmented(config(DEIM)[pipeline]):
            assert sample['img'].shape == (640, 640, 3)
            boxes = sample['gt_bboxes'].tensor
            assert len(boxes) == len(sample['gt_bboxes_labels'])
            assert (boxes >= 0).all() and (boxes <= 640).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()

    def test_dense_ones_have_more_objects(self):
        dense, plain = (augmented(config(DEIM)[f'{kind}_pipeline']) for kind in ('dense', 'plain'))
        assert {len(sample['gt_bboxes']) for sample in plain} == {2}
        assert max(len(sample['gt_bboxes']) for sample in dense) > 8
        assert np.mean([len(sample['gt_bboxes']) for sample in dense]) > 3

    def test_augmented_ones_are_zoomed_out_and_cropped(self):
        areas = [
            area for sample in augmented(config(BASE).train_pipeline) for area in sample['gt_bboxes'].areas.tolist()
        ]
        # 52 x 42 and 80 x 90 pixels of 120 x 160, stretched to 640 x 640.
        assert min(areas) < 0.3 * 46592 and max(areas) > 1.5 * 153600


@pytest.mark.parametrize('name', NAMES)
def test_metafile_and_readme_have_the_authors_scores_and_models(name):
    row, model = dict(readme_rows('d_fine'))[name], metadata()[name]
    scores = [score for result in model.get('Results', []) for score in result['Metrics'].values()]
    assert scores == ([SCORES[name]] if name in SCORES else [])
    assert row['box AP'] == str(SCORES.get(name, ''))
    assert (row['published by'] == 'not published') == (name not in SCORES)
    trained = row['trained model'].strip('`')
    assert model.get('Weights') == (PUBLISHED[trained].address if trained else None)


# Sizes without a config: the model, timm's name of the backbone, and the parts that differ.
ROW = re.compile(r'^\| ((?:D-FINE|RT-DETRv2)-\S+) \| `(\w+)`(.*?) \| (.*) \|$', re.MULTILINE)
SIZES = ROW.findall((ROOT / 'docs' / 'guides' / 'realtime-detr.md').read_text())


def test_the_guide_has_the_authors_other_sizes():
    assert [name for name, *_ in SIZES] == list(PARAMETERS)


@pytest.mark.parametrize(('name', 'backbone', 'of', 'parts'), SIZES)
def test_parts_of_the_authors_other_sizes_fit(name, backbone, of, parts):
    cfg = copy.deepcopy(config(D_FINE_L if name.startswith('D-FINE') else RTDETRV2))
    cfg.merge_from_dict(Config.fromstring(f'model = dict({parts.replace("`", "")})', '.py').to_dict())
    cfg.model.backbone.update(model_name=backbone, init_cfg=None)
    if 'ResNetVD' in of:
        cfg.model.backbone.type = 'convnext_dense.ResNetVD'
    model = build_on_meta(cfg.model, 'mmdet')
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert abs(parameters - PARAMETERS[name]) < 1
    assert list(model.backbone.channels) == list(model.neck.in_channels)
    images = torch.empty(1, 3, 64, 64, device='meta')
    assert {fmap.shape[1] for fmap in model.extract_feat(images)} == set(cfg.model.bbox_head.get('in_channels', [256]))
