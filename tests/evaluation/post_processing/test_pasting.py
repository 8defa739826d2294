"""Masks pasted within their boxes, against mmdet's pasted into images."""

import copy
import pickle
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from convnext_dense.evaluation.post_processing.late_masks import LateMasks, encode
from convnext_dense.evaluation.post_processing.pasting import mmdet_predict, predict_late

CLASSES = 4


@cache
def make_head(agnostic):
    return FCNMaskHead(num_convs=0, in_channels=4, conv_out_channels=4, num_classes=CLASSES, class_agnostic=agnostic)


def both(boxes, height=30, width=40, seed=0, threshold=0.5, rescale=True, factor=1.5, **arguments):
    """Return mmdet's masks and ours, and what became of the boxes."""
    agnostic, is_activated = arguments.get('agnostic', False), arguments.get('is_activated', False)
    head = make_head(agnostic)
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(boxes), 1 if agnostic else CLASSES, 28, 28, generator=rng) * 2
    labels = torch.randint(CLASSES, (len(boxes),), generator=rng)
    meta = dict(scale_factor=(factor, factor), ori_shape=(height, width))
    results = []
    for predict in (mmdet_predict, predict_late):
        own = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        values = logits.sigmoid() if is_activated else logits.clone()
        config = ConfigDict(mask_thr_binary=threshold)
        with np.errstate(all='ignore'):
            masks = predict(head, values, own, labels, meta, config, rescale, is_activated)
        results.append((masks, own))
    return results


def assert_equal(theirs, ours):
    assert torch.equal(ours[1], theirs[1])
    encoded = ours[0].encoded()
    assert encoded == encode_mask_results(theirs[0].numpy())
    assert (ours[0].shape, ours[0].dtype) == (theirs[0].shape, theirs[0].dtype)
    assert torch.equal(ours[0], theirs[0])


def boxes_of(data, width, height, factor):
    """Draw boxes that are partly outside the image, tiny, or without an area; mmdet takes none wholly outside."""
    boxes = []
    for _ in range(data.draw(st.integers(1, 5), label='boxes')):
        x, y = (data.draw(st.floats(-8, side, width=32)) for side in (width, height))
        box = [x, y, *(max(0.0, low) + data.draw(st.sampled_from([0.0, 1e-3, 0.7, 5.0, 60.0])) for low in (x, y))]
        boxes.append([value * factor for value in box])
    return boxes


class TestPredictLate:
    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_gives_mmdets_masks(self, data):
        width, height = (data.draw(st.integers(1, 50), label=name) for name in ('width', 'height'))
        factor = data.draw(st.sampled_from([1.0, 1.6668]), label='factor')
        rescale = data.draw(st.booleans(), label='rescale')
        boxes = boxes_of(data, width, height, factor if rescale else 1.0)
        threshold = data.draw(st.sampled_from([0.1, 0.5, 0.93]), label='threshold')
        seed = data.draw(st.integers(0, 99), label='seed')
        factor = factor if rescale else 1.0
        assert_equal(*both(boxes, height, width, seed, threshold, rescale, factor))

    def test_an_enlarged_image_that_is_not_rescaled(self):
        assert_equal(*both([[3, 4, 50, 40]], rescale=False, factor=1.37))

    @pytest.mark.parametrize('options', [dict(agnostic=True), dict(is_activated=True)])
    def test_other_heads(self, options):
        assert_equal(*both([[3, 4, 50, 40], [0, 0, 9, 9], [20, 10, 60, 45]], **options))

    @pytest.mark.parametrize('threshold', [-1, 0])
    def test_leaves_what_is_no_mask_to_mmdet(self, threshold):
        (theirs, _), (ours, _) = both([[3, 4, 50, 40]], threshold=threshold)
        assert not isinstance(ours, LateMasks)
        assert torch.equal(ours, theirs)

    def test_a_box_outside_the_image_has_no_pixel(self):
        head = make_head(agnostic=True)
        boxes, meta = torch.tensor([[90.0, 5, 95, 9]]), dict(scale_factor=(1, 1), ori_shape=(20, 30))
        config = ConfigDict(mask_thr_binary=0.5)
        masks = predict_late(head, torch.ones(1, 1, 28, 28), boxes, torch.tensor([0]), meta, config, True)
        assert masks.encoded() == encode_mask_results(np.zeros((1, 20, 30), bool))
        assert not masks.any()


class TestLateMasks:
    @pytest.fixture
    def masks(self):
        (theirs, _), (ours, _) = both([[3, 4, 50, 40], [0, 0, 9, 9]])
        return theirs, ours

    @pytest.mark.parametrize(
        'use',
        [
            lambda masks: masks.numpy(),
            lambda masks: np.asarray(masks),
            lambda masks: np.asarray(masks.cpu(), bool),
            lambda masks: masks.detach().cpu().float().numpy(),
            lambda masks: masks.to('cpu')[1],
            lambda masks: masks[masks.flatten(1).any(1)],
            lambda masks: torch.stack([masks, masks]),
            lambda masks: [mask.sum() for mask in masks],
            lambda masks: masks | ~masks,
            copy.deepcopy,
            lambda masks: pickle.loads(pickle.dumps(masks)),
        ],
    )
    def test_are_a_tensor_to_whoever_reads_them(self, masks, use):
        theirs, ours = map(use, masks)
        assert type(ours) is type(theirs)
        assert np.array_equal(ours, theirs)

    def test_instances_hold_them(self, masks):
        theirs, ours = masks
        instances = InstanceData(masks=ours, scores=torch.tensor([0.5, 0.7]))
        assert isinstance(instances.masks, LateMasks)
        assert isinstance(instances.to_dict()['masks'], LateMasks)
        chosen = instances[instances.scores > 0.6]
        assert torch.equal(chosen.masks, theirs[1:])
        assert torch.equal(instances.cpu().masks, theirs)

    def test_are_encoded_without_being_drawn(self, masks):
        theirs, ours = masks
        assert encode(ours) == encode_mask_results(theirs.numpy())
        assert ours.__dict__['_drawn'] is None
