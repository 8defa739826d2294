"""Heads with the faster methods, against mmdet's own on the same maps."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.dense_heads import ATSSHead, RetinaHead, RPNHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmengine.config import ConfigDict

from convnext_dense.evaluation.post_processing.heads import speed_up_heads

STRIDES = (4, 8)
NMS = dict(type='nms', iou_threshold=0.5)
META = dict(img_shape=(60, 90), scale_factor=(1.5, 1.25))


def pair(head):
    """Return a head, and a copy with the faster methods."""
    other = copy.deepcopy(head)
    speed_up_heads(other)
    return head, other


def proposing(**changes):
    anchors = dict(type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0], strides=STRIDES)
    config = dict(nms_pre=200, max_per_img=60, nms=dict(NMS, iou_threshold=0.7), min_bbox_size=0)
    return RPNHead(4, anchor_generator=anchors, test_cfg=ConfigDict({**config, **changes}))


def maps(rng, channels, images=2, height=60, width=92, are_tied=False):
    """Return maps of each level, many of whose values may be equal."""
    sizes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
    values = [torch.randn(images, channels, *size, generator=rng) * 2 for size in sizes]
    return [part.round(decimals=1) if are_tied else part for part in values]


def assert_equal(theirs, ours):
    for their, our in zip(theirs, ours, strict=True):
        assert sorted(our.keys()) == sorted(their.keys())
        for name, value in their.items():
            assert our[name].dtype == value.dtype
            assert torch.equal(our[name], value), name


class TestProposals:
    @settings(max_examples=20, deadline=None)
    @given(
        st.integers(0, 99),
        st.sampled_from(
            [{}, dict(nms_pre=1000), dict(max_per_img=1000), dict(min_bbox_size=12), dict(min_bbox_size=-1)]
        ),
        st.booleans(),
        st.sampled_from([(60, 92), (4, 4), (61, 35)]),
        st.booleans(),
    )
    def test_are_mmdets(self, seed, changes, rescale, size, are_tied):
        rng = torch.Generator().manual_seed(seed)
        scores, deltas = maps(rng, 3, 2, *size, are_tied), [values * 0.1 for values in maps(rng, 12, 2, *size)]
        results = [
            head.predict_by_feat(scores, deltas, batch_img_metas=[META, META], rescale=rescale)
            for head in pair(proposing(**changes))
        ]
        assert_equal(*results)

    @pytest.mark.parametrize('value', [float('nan'), float('inf'), 0.0])
    def test_odd_scores(self, value):
        rng = torch.Generator().manual_seed(0)
        scores, deltas = maps(rng, 3), [values * 0.1 for values in maps(rng, 12)]
        scores[0][:, :, 3:9] = value
        theirs, ours = (
            head.predict_by_feat(scores, deltas, batch_img_metas=[META, META]) for head in pair(proposing())
        )
        for their, our in zip(theirs, ours, strict=True):
            assert torch.equal(our.bboxes, their.bboxes)
            assert torch.allclose(our.scores, their.scores, 0, 0, equal_nan=True)

    def test_no_box_is_large_enough(self):
        rng = torch.Generator().manual_seed(0)
        scores, deltas = maps(rng, 3), maps(rng, 12)
        ours = pair(proposing(min_bbox_size=500))[1].predict_by_feat(scores, deltas, batch_img_metas=[META, META])
        assert [found.bboxes.shape for found in ours] == [(0, 4), (0, 4)]

    def test_other_suppression_is_left_to_mmdet(self):
        rng = torch.Generator().manual_seed(0)
        scores, deltas = maps(rng, 3), maps(rng, 12)
        heads = pair(proposing(nms=dict(type='soft_nms', iou_threshold=0.5)))
        assert_equal(*(head.predict_by_feat(scores, deltas, batch_img_metas=[META, META]) for head in heads))


class TestRegions:
    @settings(max_examples=20, deadline=None)
    @given(
        st.integers(0, 99), st.booleans(), st.booleans(), st.sampled_from([0, 1, 40]), st.sampled_from([0.05, 0.3, 1.0])
    )
    def test_are_mmdets(self, seed, agnostic, rescale, count, threshold):
        rng = torch.Generator().manual_seed(seed)
        head = Shared2FCBBoxHead(
            in_channels=1, fc_out_channels=1, roi_feat_size=1, num_classes=5, reg_class_agnostic=agnostic
        )
        corners = torch.rand(count, 2, generator=rng) * 50
        rois = torch.cat([torch.zeros(count, 1), corners, corners + torch.rand(count, 2, generator=rng) * 40], 1)
        scores = torch.randn(count, 6, generator=rng) * 3
        deltas = torch.randn(count, 4 if agnostic else 20, generator=rng)
        config = ConfigDict(score_thr=threshold, nms=NMS, max_per_img=20)
        results = [part.predict_by_feat((rois,), (scores,), (deltas,), [META], config, rescale) for part in pair(head)]
        assert_equal(*results)

    def test_without_a_config_all_scores_are_returned(self):
        head = Shared2FCBBoxHead(in_channels=1, fc_out_channels=1, roi_feat_size=1, num_classes=5)
        rois, scores, deltas = torch.rand(3, 5), torch.randn(3, 6), torch.randn(3, 20)
        assert_equal(*(part.predict_by_feat((rois,), (scores,), (deltas,), [META]) for part in pair(head)))


class TestDenseHeads:
    @settings(max_examples=20, deadline=None)
    @given(
        st.integers(0, 99),
        st.sampled_from([{}, dict(nms_pre=20), dict(score_thr=0.0), dict(score_thr=0.9999)]),
        st.booleans(),
        st.sampled_from([(60, 92), (4, 4), (61, 35)]),
        st.booleans(),
        st.booleans(),
    )
    def test_retinanets_are_mmdets(self, seed, changes, rescale, size, is_channels_last, are_tied):
        rng = torch.Generator().manual_seed(seed)
        anchors = dict(type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0], strides=STRIDES)
        config = dict(nms_pre=500, score_thr=0.6, nms=NMS, max_per_img=60, min_bbox_size=0)
        head = RetinaHead(5, 1, 0, anchor_generator=anchors, test_cfg=ConfigDict({**config, **changes}))
        scores, deltas = maps(rng, 15, 2, *size, are_tied), [values * 0.1 for values in maps(rng, 12, 2, *size)]
        if is_channels_last:
            scores = [values.contiguous(memory_format=torch.channels_last) for values in scores]
        results = [
            part.predict_by_feat(scores, deltas, batch_img_metas=[META, META], rescale=rescale) for part in pair(head)
        ]
        assert_equal(*results)

    def test_heads_with_centerness_are_left_to_mmdet(self):
        rng = torch.Generator().manual_seed(0)
        anchors = dict(type='AnchorGenerator', scales=[4], ratios=[1.0], strides=STRIDES)
        config = ConfigDict(nms_pre=500, score_thr=0.3, nms=NMS, max_per_img=60, min_bbox_size=0)
        head = ATSSHead(5, 1, stacked_convs=0, anchor_generator=anchors, test_cfg=config)
        inputs = maps(rng, 5), maps(rng, 4), maps(rng, 1)
        assert_equal(*(part.predict_by_feat(*inputs, batch_img_metas=[META, META]) for part in pair(head)))


class TestSpeedUpHeads:
    def test_leaves_a_head_that_predicts_otherwise(self):
        class Own(RPNHead):
            def _predict_by_feat_single(self, *arguments, **options):
                return 'own'

        head = Own(4, test_cfg=ConfigDict())
        speed_up_heads(head)
        assert 'predict_by_feat' not in vars(head)

    def test_a_copy_predicts_with_its_own_weights(self):
        _, head = pair(proposing())
        other = copy.deepcopy(head)
        assert other.predict_by_feat.__self__ is other
