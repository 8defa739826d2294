"""Boxes and areas that are wrong, and objects and images of which nothing is left, are found."""

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import SIDE, DetectorRun
from hypothesis import strategies as st

fault = Faults(DetectorRun)


@fault
def box_without_area(run):
    name, annotation = run.entry()
    annotation['bbox'] = run.draw(st.sampled_from([[8, 8, 0, 8], [8, 8, 8, 0.5], [8, 8, -4, 8]]))
    return name, repr(annotation['id']), 'no area', 'mmdet drops it'


@fault
def area_not_positive(run):
    name, annotation = run.entry()
    annotation['area'] = run.draw(st.integers(-5, 0))
    return name, repr(annotation['id']), 'no area', 'mmdet drops it'


@fault
def box_outside(run):
    name, annotation = run.entry()
    far = run.draw(st.integers(SIDE, 10 * SIDE))
    annotation['bbox'] = run.draw(st.sampled_from([[far, 8, 8, 8], [8, far, 8, 8], [-far, 8, 8, 8]]))
    return name, repr(annotation['id']), 'outside of the image', 'mmdet drops it'


@fault
def boxes_as_corners(run):
    split = run.split()
    for annotation in run.files[split]['annotations']:
        annotation['bbox'] = [34, 34, 60, 60]
    return run.path(split).name, 'boxes leave their image', 'not [x1, y1, x2, y2]'


@fault
def boxes_as_fractions(run):
    split = run.split()
    for annotation in run.files[split]['annotations']:
        annotation['bbox'] = [0.1, 0.2, 0.5, 0.25]
    return run.path(split).name, 'all boxes are between 0 and 1', 'pixels'


@fault
def images_empty(run):
    split = run.split()
    run.files[split] = dict(run.files[split], images=[], annotations=[])
    return run.path(split).name, 'has no images'


@fault
def all_images_too_small(run):
    run.dataset('train').filter_cfg.min_size = SIDE + 1
    return 'train_dataloader.dataset.filter_cfg', 'removes all', f'narrower than {SIDE + 1} px'


@fault
def all_images_empty(run):
    run.files['train']['annotations'] = []
    return 'train_dataloader.dataset.filter_cfg', 'removes all', 'filter_empty_gt'


@fault
def all_objects_dropped(run):
    for annotation in run.files['train']['annotations']:
        annotation['area'] = 0
    return run.path('train').name, 'nothing to train on'


@fault
def all_objects_crowds(run):
    split = run.split()
    for annotation in run.files[split]['annotations']:
        annotation['iscrowd'] = 1
    return run.path(split).name, 'a crowd', dict(train='the box loss is 0', val='AP is -1')[split]


@fault
def no_objects_in_validation(run):
    run.files['val']['annotations'] = []
    return run.path('val').name, 'no annotations', 'AP is -1'


@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found(name):
    fault.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found_wherever_it_is(name):
    fault.look_for(name, examples=40)
