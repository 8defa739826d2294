"""Class names that are wrong, or not those of the annotation file or of the other datasets, are found by their key."""

import copy

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import CLASSES, DetectorRun, SegmenterRun
from hypothesis import strategies as st
from mmengine.config import ConfigDict

detector_fault, segmenter_fault = Faults(DetectorRun), Faults(SegmenterRun)


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


CASES = [(faults, name) for faults in (detector_fault, segmenter_fault) for name in faults]


@pytest.mark.parametrize(('faults', 'name'), CASES)
def test_a_planted_fault_is_found(faults, name):
    faults.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize(('faults', 'name'), CASES)
def test_a_planted_fault_is_found_wherever_it_is(faults, name):
    faults.look_for(name, examples=40)
