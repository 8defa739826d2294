"""Annotation files that are no JSON, or not of COCO's form, are found."""

import json

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import DetectorRun
from hypothesis import strategies as st

fault = Faults(DetectorRun)


@fault
def categories_empty(run):
    split = run.split()
    run.files[split]['categories'] = []
    return run.path(split).name, "'categories' is empty"


def drop_list(key):
    def plant(run):
        split = run.split()
        content = run.files[split]
        value = run.draw(st.sampled_from([None, {}, 'x', 'missing']))
        if value == 'missing':
            del content[key]
        else:
            content[key] = value
        return run.path(split).name, repr(key)

    return plant


fault |= {f'no_list_of_{key}': drop_list(key) for key in ('images', 'categories')}


@fault
def annotations_null(run):
    split = run.split()
    run.files[split]['annotations'] = None
    return run.path(split).name, "'annotations'"


@fault
def entry_no_object(run):
    split = run.split()
    key = run.draw(st.sampled_from(['images', 'annotations', 'categories']))
    run.files[split][key].append(None)
    return run.path(split).name, f'{key}[{len(run.files[split][key]) - 1}]'


@fault
def file_empty(run):
    split = run.split()
    run.files[split] = run.draw(st.sampled_from([b'', b' \n']))
    return run.path(split).name, 'is empty'


@fault
def file_cut_off(run):
    split = run.split()
    text = json.dumps(run.files[split]).encode()
    run.files[split] = text[: run.draw(st.integers(1, len(text) - 1))]
    return run.path(split).name, 'is no JSON'


@fault
def file_of_another_format(run):
    split = run.split()
    run.files[split] = run.draw(st.sampled_from([b'<html>', b'\x89PNG\xff\xff', b'\xff\xfe{', b'a,b,c']))
    return run.path(split).name, 'is no JSON'


@fault
def file_of_another_value(run):
    split = run.split()
    run.files[split] = run.draw(st.sampled_from([b'null', b'[]', b'3', b'"text"']))
    return run.path(split).name, 'it must be an object with images'


@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found(name):
    fault.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found_wherever_it_is(name):
    fault.look_for(name, examples=40)
