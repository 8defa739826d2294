"""Heads and losses of another number of classes than the dataset has are found by their key."""

import copy

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import CLASSES, DetectorRun, SegmenterRun
from hypothesis import strategies as st
from mmengine.config import ConfigDict

detector_fault, segmenter_fault = Faults(DetectorRun), Faults(SegmenterRun)
# Another number of classes than the runs have.
counts = st.integers(1, 90).filter(lambda count: count not in (len(CLASSES), 5))


def wrong_count(*path):
    def plant(run):
        head = run.cfg.model
        for part in path:
            head = head[part]
        head.num_classes = run.draw(counts)
        total = len(run.dataset('train').metainfo.classes)
        place = '.'.join(str(part) for part in path)
        return f'model.{place}.num_classes', f'is {head.num_classes},', f'must be {total}'

    return plant


detector_fault |= {
    'box_head': wrong_count('roi_head', 'bbox_head'),
    'mask_head': wrong_count('roi_head', 'mask_head'),
}
segmenter_fault |= {'decode_head': wrong_count('decode_head'), 'auxiliary_head': wrong_count('auxiliary_head')}


def with_model(name, model, place, spoil):
    """Plant a fault in another kind of model."""

    def plant(run):
        run.cfg.model = ConfigDict(copy.deepcopy(model))
        head = run.cfg.model
        for part in place.split('.')[1:]:
            head = head[int(part) if part.isdigit() else part]
        return spoil(run, head, place)

    detector_fault[name] = plant


def count(run, head, place):
    head.num_classes = run.draw(counts)
    return f'{place}.num_classes', f'is {head.num_classes},', 'must be 3'


box_heads = [dict(type='Shared2FCBBoxHead', num_classes=3) for _ in range(3)]
with_model('cascade_head', dict(roi_head=dict(bbox_head=box_heads)), 'model.roi_head.bbox_head.1', count)
with_model('dense_head', dict(bbox_head=dict(type='RetinaHead', num_classes=3)), 'model.bbox_head', count)
with_model('query_head', dict(bbox_head=dict(type='DINOHead', num_classes=3)), 'model.bbox_head', count)
with_model('list_of_heads', dict(bbox_head=[dict(type='ATSSHead', num_classes=3)]), 'model.bbox_head.0', count)
with_model(
    'detector_in_another',
    dict(type='SoftTeacher', detector=dict(roi_head=dict(bbox_head=dict(num_classes=3)))),
    'model.detector.roi_head.bbox_head',
    count,
)
with_model(
    'loss_with_classes',
    dict(roi_head=dict(bbox_head=dict(num_classes=3, loss_cls=dict(type='SeesawLoss', num_classes=1203)))),
    'model.roi_head.bbox_head',
    lambda run, head, place: (f'{place}.loss_cls.num_classes', 'is 1203', 'must be 3'),
)
with_model(
    'head_with_the_default',
    dict(roi_head=dict(bbox_head=dict(type='Shared2FCBBoxHead'))),
    'model.roi_head.bbox_head',
    lambda run, head, place: (f'{place}.num_classes', 'is 80 (not given)', 'must be 3'),
)


def mask2former(things, stuff, weights):
    loss = dict(type='CrossEntropyLoss', class_weight=[1.0] * weights)
    return dict(
        panoptic_head=dict(
            type='Mask2FormerHead', num_queries=9, num_things_classes=things, num_stuff_classes=stuff, loss_cls=loss
        ),
        panoptic_fusion_head=dict(type='MaskFormerFusionHead', num_things_classes=3, num_stuff_classes=0),
    )


with_model(
    'things_and_stuff',
    mask2former(80, 53, 4),
    'model.panoptic_head',
    lambda run, head, place: (f'{place}.num_things_classes', 'is 80', '53', 'together they must be 3'),
)
with_model(
    'class_weights',
    mask2former(3, 0, 134),
    'model.panoptic_head',
    lambda run, head, place: (f'{place}.loss_cls.class_weight', 'has 134 weights', 'must have 4'),
)


@segmenter_fault
def decode_head_in_a_list(run):
    heads = [copy.deepcopy(run.cfg.model.decode_head) for _ in range(2)]
    heads[1].num_classes = run.draw(counts)
    run.cfg.model.decode_head = heads
    return 'model.decode_head.1.num_classes', f'is {heads[1].num_classes},', 'must be 5'


@segmenter_fault
def class_weights_of_a_segmenter(run):
    head = run.cfg.model.decode_head
    head.loss_decode = ConfigDict(type='CrossEntropyLoss', class_weight=[1.0] * run.draw(counts))
    return 'model.decode_head.loss_decode.class_weight', f'has {len(head.loss_decode.class_weight)} weight', 'have 5'


@segmenter_fault
def softmax_over_one_class(run):
    for split in ('train', 'val'):
        run.dataset(split).metainfo = ConfigDict(classes=('crack',), palette=[(1, 2, 3)])
    run.cfg.model.decode_head.num_classes = 1
    return 'model.decode_head.num_classes', 'softmax over one class', 'background'


@segmenter_fault
def softmax_over_one_channel(run):
    for split in ('train', 'val'):
        run.dataset(split).metainfo = ConfigDict(classes=('road', 'crack'), palette=[(1, 2, 3)] * 2)
    run.cfg.model.decode_head.update(num_classes=2, out_channels=1)
    return 'model.decode_head.out_channels', 'use_sigmoid must be True'


@segmenter_fault
def channels_that_are_not_the_classes(run):
    run.cfg.model.decode_head.out_channels = run.draw(st.sampled_from([1, 2, 6]))
    return 'model.decode_head.out_channels', 'it must be 5'


CASES = [(faults, name) for faults in (detector_fault, segmenter_fault) for name in faults]


@pytest.mark.parametrize(('faults', 'name'), CASES)
def test_a_planted_fault_is_found(faults, name):
    faults.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize(('faults', 'name'), CASES)
def test_a_planted_fault_is_found_wherever_it_is(faults, name):
    faults.look_for(name, examples=40)
