"""Faults planted in class names, heads, evaluators and a segmenter's files are found, by their key."""

import copy
import tempfile
from pathlib import Path

import pytest
from helpers.planted.runs import CLASSES, DetectorRun, SegmenterRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import ConfigDict

from convnext_dense.checks.classes_and_heads.classes import find_in_classes
from convnext_dense.checks.classes_and_heads.evaluators import find_in_evaluators
from convnext_dense.checks.classes_and_heads.heads import find_in_heads
from convnext_dense.checks.files import find_in_files
from convnext_dense.errors import UsageError

DETECTOR_FAULTS, SEGMENTER_FAULTS = {}, {}
# Another number of classes than the runs have.
counts = st.integers(1, 90).filter(lambda count: count not in (len(CLASSES), 5))


def detector_fault(plant):
    DETECTOR_FAULTS[plant.__name__] = plant
    return plant


def segmenter_fault(plant):
    SEGMENTER_FAULTS[plant.__name__] = plant
    return plant


def in_both(plant):
    return segmenter_fault(detector_fault(plant))


def metainfo(run):
    split = run.split()
    dataset = run.dataset(split)
    dataset.metainfo = ConfigDict(copy.deepcopy(dataset.metainfo.to_dict()))
    return f'{split}_dataloader.dataset.metainfo', dataset.metainfo


@in_both
def classes_as_text(run):
    place, meta = metainfo(run)
    meta.classes = 'nucleus'
    return f'{place}.classes', "'nucleus'", "classes=('nucleus',)"


@in_both
def classes_with_a_name_twice(run):
    place, meta = metainfo(run)
    name = run.draw(st.sampled_from(list(meta.classes)))
    meta.classes = (*meta.classes[:-1], name, name)
    meta.palette = [(1, 2, 3)] * len(meta.classes)
    return f'{place}.classes', f'{name!r} twice'


@in_both
def classes_empty(run):
    place, meta = metainfo(run)
    meta.classes = ()
    return f'{place}.classes', 'is empty'


@in_both
def classes_of_numbers(run):
    place, meta = metainfo(run)
    meta.classes = tuple(range(len(meta.classes)))
    return f'{place}.classes', '0 is no name'


@in_both
def classes_by_their_old_name(run):
    place, meta = metainfo(run)
    name = run.draw(st.sampled_from(['CLASSES', 'class_names']))
    meta[name] = meta.pop('classes')
    return f'{place}.{name}', 'name it classes'


@in_both
def palette_too_short(run):
    place, meta = metainfo(run)
    meta.palette = meta.palette[:-1]
    return f'{place}.palette', f'has {len(meta.palette)} colors for {len(meta.classes)} classes'


@in_both
def validation_with_other_classes(run):
    meta = run.cfg.val_dataloader.dataset.metainfo
    meta.classes = (*meta.classes[:-1], 'hexagon')
    return 'val_dataloader.dataset.metainfo.classes', 'hexagon', 'train_dataloader.dataset'


@in_both
def validation_with_another_order(run):
    meta = run.cfg.val_dataloader.dataset.metainfo
    meta.classes = meta.classes[::-1]
    return 'val_dataloader.dataset.metainfo.classes', 'train_dataloader.dataset', 'the order differs'


@segmenter_fault
def name_that_the_dataset_does_not_know(run):
    run.dataset('train').type = 'mmseg.ADE20KDataset'
    run.dataset('train').metainfo = ConfigDict(classes=('wall', 'bilding'))
    return 'train_dataloader.dataset.metainfo.classes', "'bilding'", "the nearest is 'building'", 'BaseSegDataset'


@detector_fault
def name_in_another_case(run):
    place, meta = metainfo(run)
    i = run.draw(st.integers(0, 2))
    meta.classes = tuple(name.title() if k == i else name for k, name in enumerate(CLASSES))
    return f'{place}.classes', repr(meta.classes[i]), f'the nearest is {CLASSES[i]!r}', 'instances_'


@detector_fault
def name_with_a_typo(run):
    place, meta = metainfo(run)
    meta.classes = ('circle', 'sqaure', 'star')
    return f'{place}.classes', "'sqaure'", "the nearest is 'square'"


@detector_fault
def no_classes_given(run):
    split = run.split()
    del run.dataset(split)['metainfo']
    return f'{split}_dataloader.dataset.metainfo.classes', 'not given', "'person'", "'circle'"


@detector_fault
def order_of_the_config(run):
    place, meta = metainfo(run)
    meta.classes = run.draw(st.permutations(CLASSES).filter(lambda names: tuple(names) != CLASSES))
    return f'{place}.classes', *map(repr, (tuple(meta.classes), CLASSES)), 'would be called'


@detector_fault
def class_of_the_file_left_out(run):
    for split in ('train', 'val'):
        run.dataset(split).metainfo = ConfigDict(classes=CLASSES[:2])
    return 'train_dataloader.dataset.metainfo.classes', 'leaves out', "'star'"


@detector_fault
def two_categories_of_one_name(run):
    split = run.split()
    run.files[split]['categories'].append(dict(id=9, name='star'))
    return run.path(split).name, "'star'", 'two categories'


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


DETECTOR_FAULTS |= {
    'box_head': wrong_count('roi_head', 'bbox_head'),
    'mask_head': wrong_count('roi_head', 'mask_head'),
}
SEGMENTER_FAULTS |= {'decode_head': wrong_count('decode_head'), 'auxiliary_head': wrong_count('auxiliary_head')}


def with_model(name, model, place, spoil):
    """Plant a fault in another kind of model."""

    def plant(run):
        run.cfg.model = ConfigDict(copy.deepcopy(model))
        head = run.cfg.model
        for part in place.split('.')[1:]:
            head = head[int(part) if part.isdigit() else part]
        return spoil(run, head, place)

    DETECTOR_FAULTS[name] = plant


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
    return 'model.decode_head.loss_decode.class_weight', f'has {len(head.loss_decode.class_weight)} weights', 'have 5'


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


@detector_fault
def evaluator_file_missing(run):
    run.cfg.val_evaluator.ann_file = 'nowhere.json'
    return 'val_evaluator.ann_file', 'there is no nowhere.json'


@detector_fault
def evaluator_of_a_list_without_its_file(run):
    run.cfg.val_evaluator = [run.cfg.val_evaluator, dict(type='CocoMetric', ann_file='nowhere.json')]
    return 'val_evaluator.1.ann_file', 'nowhere.json'


@detector_fault
def evaluator_of_another_split(run):
    run.cfg.val_evaluator.ann_file = str(run.path('train'))
    return 'val_evaluator.ann_file', str(run.path('train')), str(run.path('val')), 'the same file'


@detector_fault
def evaluator_of_other_images_with_the_same_ids(run):
    for split in ('train', 'val'):
        for i, image in enumerate(run.files[split]['images'][:2]):
            image['id'] = i
        run.files[split].update(images=run.files[split]['images'][:2], annotations=[])
    run.cfg.val_evaluator.ann_file = str(run.path('train'))
    return 'val_evaluator.ann_file', 'train0.jpg', 'val0.jpg'


@detector_fault
def evaluator_of_more_images(run):
    more = copy.deepcopy(run.files['val'])
    more['images'].append({**more['images'][0], 'id': 'another'})
    run.files['more'] = more
    run.cfg.val_evaluator.ann_file = str(run.path('more'))
    return 'val_evaluator.ann_file', '1 images that', 'count as missed'


@detector_fault
def evaluator_of_another_order(run):
    run.files['other'] = dict(run.files['val'], categories=run.files['val']['categories'][::-1])
    run.cfg.val_evaluator.ann_file = str(run.path('other'))
    return 'val_evaluator.ann_file', "('star', 'square', 'circle')", 'same order'


@segmenter_fault
def images_of_another_suffix(run):
    split = run.split()
    for path in run.folder('images', split).iterdir():
        path.rename(path.with_suffix('.png'))
    return f'{split}_dataloader.dataset.img_suffix', "'.jpg'", f'{len(run.names)} .png'


@segmenter_fault
def label_maps_of_another_suffix(run):
    split = run.split()
    for path in run.folder('annotations', split).iterdir():
        path.rename(path.with_suffix('.tif'))
    return f'{split}_dataloader.dataset.seg_map_suffix', "'.png'", f'{len(run.names)} .tif'


@segmenter_fault
def no_images(run):
    split = run.split()
    for path in run.folder('images', split).iterdir():
        path.unlink()
    return f'{split}_dataloader.dataset', 'holds no files'


@segmenter_fault
def label_map_missing(run):
    split = run.split()
    path = run.folder('annotations', split) / f'{run.draw(st.sampled_from(run.names))}.png'
    path.unlink()
    return f'{split}_dataloader.dataset', 'there is no label map', str(path)


@segmenter_fault
def image_of_a_label_map_missing(run):
    split = run.split()
    name = run.draw(st.sampled_from(run.names))
    (run.folder('images', split) / f'{name}.jpg').unlink()
    return f'{split}_dataloader.dataset', f'{name}.png has no image'


@segmenter_fault
def folder_missing(run):
    split = run.split()
    key = run.draw(st.sampled_from(['img_path', 'seg_map_path']))
    run.dataset(split).data_prefix = ConfigDict({**run.dataset(split).data_prefix, key: 'nowhere'})
    return f'{split}_dataloader.dataset.data_prefix.{key}', 'there is no folder', 'nowhere'


@segmenter_fault
def list_of_names_missing(run):
    split = run.split()
    run.dataset(split).ann_file = 'nowhere.txt'
    return f'{split}_dataloader.dataset.ann_file', 'nowhere.txt'


def check(run_type, plant, data):
    with tempfile.TemporaryDirectory() as folder:
        run = run_type(Path(folder), data)
        words = plant(run) if plant else ()
        plan = run.plan()
        try:
            checks = find_in_files, find_in_classes, find_in_heads, find_in_evaluators
            sentences = [finding.sentence for find in checks for finding in find(plan)]
        except UsageError as error:
            sentences = [str(error)]
    if plant is None:
        assert not sentences
    else:
        assert any(all(word in sentence for word in words) for sentence in sentences), (words, sentences)
    assert all(sentence.endswith('.') and '\n' not in sentence for sentence in sentences)


quick = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
thorough = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
CASES = [
    *(pytest.param(DetectorRun, plant, id=f'detector-{name}') for name, plant in DETECTOR_FAULTS.items()),
    *(pytest.param(SegmenterRun, plant, id=f'segmenter-{name}') for name, plant in SEGMENTER_FAULTS.items()),
]


@pytest.mark.parametrize(('run_type', 'plant'), CASES)
def test_a_planted_fault_is_found(run_type, plant):
    quick(given(st.data())(lambda data: check(run_type, plant, data)))()


@pytest.mark.full
@pytest.mark.parametrize(('run_type', 'plant'), CASES)
def test_a_planted_fault_is_found_wherever_it_is(run_type, plant):
    thorough(given(st.data())(lambda data: check(run_type, plant, data)))()


@pytest.mark.parametrize('run_type', [DetectorRun, SegmenterRun])
def test_nothing_is_found_in_right_runs(run_type):
    quick(given(st.data())(lambda data: check(run_type, None, data)))()
