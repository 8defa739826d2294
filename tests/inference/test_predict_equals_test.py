"""What a model predicts on images is what a test on them gives, bit for bit."""

import copy
import pickle

import numpy as np
import pytest
from helpers.commands import chdir
from helpers.demo_runs import DETECTOR, SEGMENTER
from helpers.random_models import save_random, small_config
from helpers.zoo import tiers
from PIL import Image
from pycocotools import mask as coco_mask

from convnext_dense import load_model
from convnext_dense.apis import test as evaluate

DETECTORS = [
    str(DETECTOR),
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
]
SEGMENTERS = [
    str(SEGMENTER),
    'mmseg::upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py',
    'mmseg::knet/knet-s3_r50-d8_upernet_8xb2-adamw-80k_ade20k-512x512.py',
]


@pytest.mark.parametrize('name', tiers(DETECTORS, {str(DETECTOR)}))
def test_a_detectors_objects_are_equal(name, coco, tmp_path):
    cfg = small_config(name, coco)
    # Its config comes out of the file.
    model = load_model(save_random(cfg, tmp_path / 'model.pth'), device='cpu')
    cfg.work_dir = str(tmp_path)
    with chdir(tmp_path):
        evaluate(copy.deepcopy(cfg), model.checkpoint, out=str(tmp_path / 'out.pkl'))
    expected = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    assert len(expected) == 8
    found = 0
    for sample in expected:
        result, instances = model.predict(sample['img_path']), sample['pred_instances']
        assert np.array_equal(result.boxes, instances['bboxes'].numpy())
        assert np.array_equal(result.labels, instances['labels'].numpy())
        assert np.array_equal(result.scores, instances['scores'].numpy())
        assert (result.masks is None) == ('masks' not in instances)
        for mask, rle in zip(() if result.masks is None else result.masks, instances.get('masks', ()), strict=True):
            assert np.array_equal(mask, coco_mask.decode(rle).astype(bool))
        found += len(result)
    # An RTMDet of random weights finds few.
    assert found


@pytest.mark.parametrize('name', tiers(SEGMENTERS, {str(SEGMENTER)}))
def test_a_segmenters_maps_are_equal(name, label_maps, tmp_path):
    cfg = small_config(name, label_maps)
    # Its config comes out of the file.
    model = load_model(save_random(cfg, tmp_path / 'model.pth'), device='cpu')
    cfg.work_dir = str(tmp_path)
    with chdir(tmp_path):
        evaluate(copy.deepcopy(cfg), model.checkpoint, out=str(tmp_path / 'maps'))
    images = sorted((label_maps / 'images' / 'validation').iterdir())
    assert len(images) == 8
    values = set()
    for image in images:
        expected = np.asarray(Image.open(tmp_path / 'maps' / f'{image.stem}.png'))
        result = model.predict(image)
        assert np.array_equal(result.semantic + int(model.counts_from_1), expected)
        values |= set(np.unique(expected).tolist())
    assert len(values) > 1
