"""A model's graph gives what the model gives."""

import numpy as np
import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER
from helpers.graph_session import graph_model
from helpers.random_models import random_model, small_config
from helpers.zoo import tiers

from convnext_dense.errors import UsageError

DETECTORS = [
    str(DETECTOR),
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'mmdet::seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1.py',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'mmdet::atss/atss_r50_fpn_1x_coco.py',
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
]
SEGMENTERS = [
    str(SEGMENTER),
    'mmseg::upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmseg::knet/knet-s3_r50-d8_upernet_8xb2-adamw-80k_ade20k-512x512.py',
]
FAST_DETECTORS = {name for name in DETECTORS if not name.startswith(('mmdet::seesaw', 'mmdet::atss', 'mmdet::fcos'))}


def assert_equal(found, expected):
    """Objects of almost one score may be in another order, and the last of them others."""
    assert found.size == expected.size and len(found) == len(expected)
    assert (found.masks is None) == (expected.masks is None)
    are_close = np.abs(expected.boxes[:, None] - found.boxes).max(-1) < 1e-3
    are_close &= np.abs(expected.scores[:, None] - found.scores) < 1e-5
    are_close &= expected.labels[:, None] == found.labels
    assert are_close.any(1).sum() >= 0.95 * len(expected)
    if expected.masks is not None and len(expected):
        masks, others = np.asarray(found.masks), np.asarray(expected.masks)
        # Of pixels that are at the threshold.
        differing = [
            (masks[row.argmax()] != mask).mean() for mask, row in zip(others, are_close, strict=True) if row.any()
        ]
        assert max(differing) < 1e-3


@pytest.mark.parametrize('name', tiers(DETECTORS, FAST_DETECTORS))
def test_a_detectors_graph_finds_the_same_objects(name, coco, tmp_path):
    model = random_model(small_config(name, coco), tmp_path / 'model.pth')
    exported, count = graph_model(model), 0
    for photo in sorted((coco / 'val2017').iterdir()):
        expected = model.predict(photo)
        assert_equal(exported.predict(photo), expected)
        count += len(expected)
    # An RTMDet of random weights finds few.
    assert count


@pytest.mark.parametrize('name', tiers(SEGMENTERS, {str(SEGMENTER), SEGMENTERS[1]}))
def test_a_segmenters_graph_gives_the_same_map(name, label_maps, photos, tmp_path):
    model = random_model(small_config(name, label_maps), tmp_path / 'model.pth')
    exported = graph_model(model)
    for photo in photos[:2]:
        assert (exported.predict(photo).semantic != model.predict(photo).semantic).mean() < 1e-4


def test_a_window_that_slides_gives_the_same_map(label_maps, photos, tmp_path):
    cfg = small_config(str(SEGMENTER), label_maps)
    cfg.model.test_cfg = dict(mode='slide', crop_size=(40, 40), stride=(30, 30))
    model = random_model(cfg, tmp_path / 'model.pth')
    exported = graph_model(model)
    assert (exported.predict(photos[0]).semantic != model.predict(photos[0]).semantic).mean() < 1e-4


def test_probabilities_are_of_all_classes_and_give_the_same_map(segmenter, photos):
    exported = graph_model(segmenter, output='scores')
    inputs = dict(images=np.zeros((1, 64, 64, 3), np.uint8), size=np.array([32, 48]))
    scores = exported.session.run(inputs)['scores']
    assert scores.shape == (1, len(segmenter.classes), 32, 48)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)
    assert (exported.predict(photos[0]).semantic != segmenter.predict(photos[0]).semantic).mean() < 1e-4


def test_masks_of_the_image_are_those_of_the_boxes_pasted(detector, photos):
    # At the size of the file, what is pasted into the input is not resized.
    exported, pasted = graph_model(detector), graph_model(detector, masks='image')
    expected, found = exported.predict(photos[0]), pasted.predict(photos[0])
    ious = [
        (first & second).sum() / max((first | second).sum(), 1)
        for first, second in zip(expected.masks, found.masks, strict=True)
        if first.sum() > 100
    ]
    assert len(ious) > 3
    assert min(ious) > 0.8


def test_rows_without_an_object_have_no_score_and_no_label(detector):
    outputs = graph_model(detector).session.run(dict(images=np.zeros((2, 64, 96, 3), np.uint8)))
    empty = outputs['labels'] < 0
    assert outputs['boxes'].shape == (2, 20, 4)
    assert (outputs['scores'][empty] == 0).all() and (outputs['scores'][~empty] > 0).all()
    assert (np.diff(outputs['scores'], axis=1) <= 0).all()


class TestWhatHasNoForm:
    def refused(self, name, coco, tmp_path, **changes):
        cfg = small_config(name, coco)
        cfg.model.merge_from_dict(changes) if hasattr(cfg.model, 'merge_from_dict') else cfg.merge_from_dict(
            {f'model.{key}': value for key, value in changes.items()}
        )
        with pytest.raises(UsageError) as error:
            graph_model(random_model(cfg, tmp_path / 'model.pth'))
        return str(error.value)

    def test_is_named_for_a_head_of_another_kind(self, coco, tmp_path):
        name = 'mmdet::gfl/gfl_r50_fpn_1x_coco.py'
        assert 'GFLHead has a _predict_by_feat_single of its own' in self.refused(name, coco, tmp_path)

    def test_is_named_for_a_suppression_of_another_kind(self, coco, tmp_path):
        changes = {'test_cfg.rcnn.nms.type': 'soft_nms'}
        sentence = self.refused(str(DETECTOR), coco, tmp_path, **changes)
        assert sentence.startswith('export: test_cfg.rcnn.nms is soft_nms, which has no form in ONNX')

    def test_is_named_for_a_detector_of_another_kind(self, coco, tmp_path):
        name = 'mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py'
        assert 'EmbeddingRPNHead has a predict_by_feat of its own' in self.refused(name, coco, tmp_path)

    def test_is_named_for_a_transform_that_a_runtime_lacks(self, coco, tmp_path):
        cfg = small_config(str(DETECTOR), coco)
        cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='PhotoMetricDistortion'))
        with pytest.raises(UsageError, match='the test pipeline has PhotoMetricDistortion, which runs with OpenMMLab'):
            graph_model(random_model(cfg, tmp_path / 'model.pth'))

    def test_is_named_for_labels_that_are_found_before_logits_are_resized(self, label_maps, tmp_path):
        sentence = self.refused(str(SEGMENTER), label_maps, tmp_path, **{'test_cfg.argmax_first': True})
        assert sentence == 'model.test_cfg.argmax_first: an exported model resizes logits; leave it out to export.'
