"""Evaluators whose annotation file is missing, or not the dataset's, are found by their key."""

import copy

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import DetectorRun

fault = Faults(DetectorRun)


@fault
def evaluator_file_missing(run):
    run.cfg.val_evaluator.ann_file = 'nowhere.json'
    return 'val_evaluator.ann_file', 'there is no nowhere.json'


@fault
def evaluator_of_a_list_without_its_file(run):
    run.cfg.val_evaluator = [run.cfg.val_evaluator, dict(type='CocoMetric', ann_file='nowhere.json')]
    return 'val_evaluator.1.ann_file', 'nowhere.json'


@fault
def evaluator_of_another_split(run):
    run.cfg.val_evaluator.ann_file = str(run.path('train'))
    return 'val_evaluator.ann_file', str(run.path('train')), str(run.path('val')), 'the same file'


@fault
def evaluator_of_other_images_with_the_same_ids(run):
    for split in ('train', 'val'):
        for i, image in enumerate(run.files[split]['images'][:2]):
            image['id'] = i
        run.files[split].update(images=run.files[split]['images'][:2], annotations=[])
    run.cfg.val_evaluator.ann_file = str(run.path('train'))
    return 'val_evaluator.ann_file', 'train0.jpg', 'val0.jpg'


@fault
def evaluator_of_more_images(run):
    more = copy.deepcopy(run.files['val'])
    more['images'].append({**more['images'][0], 'id': 'another'})
    run.files['more'] = more
    run.cfg.val_evaluator.ann_file = str(run.path('more'))
    return 'val_evaluator.ann_file', '1 image that', 'count as missed'


@fault
def evaluator_of_another_order(run):
    run.files['other'] = dict(run.files['val'], categories=run.files['val']['categories'][::-1])
    run.cfg.val_evaluator.ann_file = str(run.path('other'))
    return 'val_evaluator.ann_file', "('star', 'square', 'circle')", 'same order'


@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found(name):
    fault.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found_wherever_it_is(name):
    fault.look_for(name, examples=40)
