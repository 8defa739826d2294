"""Polygons and run lengths that cannot be read, or that are ignored, are found."""

import math

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import SIDE, DetectorRun
from hypothesis import strategies as st

fault = Faults(DetectorRun)


@fault
def polygon_not_finite_or_far(run):
    name, annotation = run.entry()
    polygon = [1.0, 1.0, 9.0, 1.0, 9.0, 9.0, 1.0, 9.0]
    polygon[run.draw(st.integers(0, 7))] = run.draw(st.sampled_from([math.nan, math.inf, 1e9, -1e9, 10**400]))
    annotation['segmentation'] = [[1, 1, 9, 1, 9, 9], polygon]
    return name, repr(annotation['id']), 'not finite or beyond'


@fault
def polygon_of_two_points(run):
    name, annotation = run.entry()
    annotation['segmentation'] = [[1, 1, 9, 9]]
    return name, repr(annotation['id']), 'fewer than three points'


@fault
def polygon_of_odd_length(run):
    name, annotation = run.entry()
    annotation['segmentation'] = [[1, 1, 9, 1, 9, 9, 4]]
    return name, repr(annotation['id']), 'odd number of coordinates'


@fault
def polygon_without_points_in_validation(run):
    annotation = run.pick(run.files['val']['annotations'])
    annotation['segmentation'] = [[]]
    return run.path('val').name, repr(annotation['id']), 'fewer than two points'


@fault
def polygon_not_nested(run):
    name, annotation = run.entry()
    annotation['segmentation'] = run.draw(
        st.sampled_from([[1, 1, 9, 1, 9, 9], 'mask.png', [[1, 1, 'x', 3, 9, 9]], [None]])
    )
    return name, repr(annotation['id']), 'neither a list of polygons'


@fault
def segmentation_empty(run):
    name, annotation = run.entry()
    annotation['segmentation'] = run.draw(st.sampled_from([[], None, {}]))
    return name, repr(annotation['id']), "no 'segmentation'"


@fault
def run_lengths_without_a_field(run):
    name, annotation = run.entry()
    annotation['segmentation'] = run.draw(st.sampled_from([dict(counts=[1, SIDE * SIDE - 1]), dict(size=[SIDE, SIDE])]))
    return name, repr(annotation['id']), "without 'counts' or 'size'"


@fault
def run_lengths_of_another_size(run):
    name, annotation = run.entry()
    height = run.draw(st.sampled_from([1, SIDE // 2, 10**6]))
    annotation['segmentation'] = dict(size=[height, SIDE], counts=[0, height * SIDE])
    return name, repr(annotation['id']), 'another size than the image'


@fault
def run_lengths_too_long_or_short(run):
    name, annotation = run.entry()
    extra = run.draw(st.integers(1 - SIDE * SIDE, 10**6).filter(bool))
    annotation['segmentation'] = dict(size=[SIDE, SIDE], counts=[0, SIDE * SIDE + extra])
    return name, repr(annotation['id']), 'do not add up'


@fault
def run_lengths_negative(run):
    name, annotation = run.entry()
    annotation['segmentation'] = dict(size=[SIDE, SIDE], counts=[-5, SIDE * SIDE + 5])
    return name, repr(annotation['id']), 'negative'


@fault
def run_lengths_compressed_garbage(run):
    name, annotation = run.entry()
    counts = run.draw(st.sampled_from(['', '52b', 'øø', '~~~~', 'PPPPPPPPPPPP1']))
    annotation['segmentation'] = dict(size=[SIDE, SIDE], counts=counts)
    return name, repr(annotation['id']), 'run lengths that'


@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found(name):
    fault.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found_wherever_it_is(name):
    fault.look_for(name, examples=40)
