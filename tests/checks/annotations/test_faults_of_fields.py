"""Fields of annotation files that are missing or of another type, and ids that are there twice, are found."""

import math

import pytest
from helpers.planted.faults import Faults
from helpers.planted.runs import DetectorRun
from hypothesis import strategies as st

fault = Faults(DetectorRun)


def spoil(field, value, kind='annotations'):
    """Return a function that gives one entry a value."""

    def plant(run):
        name, entry = run.entry(kind)
        entry[field] = run.draw(value) if isinstance(value, st.SearchStrategy) else value
        return name, repr(entry['id']), field

    return plant


def leave_out(field, kind='annotations'):
    def plant(run):
        name, entry = run.entry(kind)
        del entry[field]
        return name, *([repr(entry['id'])] if 'id' in entry else []), f'no {field!r}'

    return plant


for noun, fields in (
    ('images', ('id', 'file_name', 'height', 'width')),
    ('annotations', ('id', 'image_id', 'category_id', 'bbox', 'segmentation')),
    ('categories', ('id', 'name')),
):
    for field_name in fields:
        fault[f'{noun}_without_{field_name}'] = leave_out(field_name, noun)
not_an_id = st.sampled_from([None, [1], {}, True])
not_a_number = st.sampled_from([None, '64', [64], {}])
fault |= {
    'image_id_of_another_type': spoil('image_id', not_an_id),
    'category_id_of_another_type': spoil('category_id', not_an_id),
    'file_name_of_another_type': spoil('file_name', st.sampled_from([None, 3, []]), 'images'),
    'height_of_another_type': spoil('height', not_a_number, 'images'),
    'width_of_another_type': spoil('width', not_a_number, 'images'),
    'area_of_another_type': spoil('area', st.sampled_from(['12', [3], {}])),
    'height_not_positive': spoil('height', st.integers(-5, 0), 'images'),
    'box_null': spoil('bbox', None),
    'box_of_another_length': spoil('bbox', st.lists(st.integers(2, 9), max_size=6).filter(lambda box: len(box) != 4)),
    'box_of_text': spoil('bbox', [1, 2, '3', 4]),
    'box_with_null': spoil('bbox', [1, 2, None, 4]),
    'box_as_dict': spoil('bbox', dict(x=1, y=2, width=3, height=4)),
    'box_not_finite': spoil('bbox', st.sampled_from([[math.nan, 1, 2, 3], [1, 1, math.inf, 3]])),
}


@fault
def image_ids_of_two_types(run):
    split = run.split()
    content = run.files[split]
    for image in content['images']:
        image['id'] = int(image['id'])
    for annotation in content['annotations']:
        annotation['image_id'] = str(annotation['image_id'])
    return run.path(split).name, 'an image_id that no image has', 'a text in one place and a number in the other'


@fault
def image_id_of_two_images(run):
    split = run.split()
    first, second, *_ = run.files[split]['images']
    second['id'] = first['id']
    return run.path(split).name, repr(first['id']), 'more than once', first['file_name'], second['file_name']


@fault
def image_twice(run):
    split = run.split()
    images = run.files[split]['images']
    images.append(run.pick(images))
    return run.path(split).name, repr(images[-1]['id']), 'more than once', images[-1]['file_name']


@fault
def annotation_id_twice(run):
    split = run.split()
    first, second, *_ = run.files[split]['annotations']
    second['id'] = first['id']
    return run.path(split).name, f'annotation id {first["id"]} is there more than once'


@fault
def category_id_twice(run):
    split = run.split()
    run.files[split]['categories'][1]['id'] = 1
    return run.path(split).name, 'category id 1 is there more than once', 'circle and square'


@fault
def image_unknown(run):
    name, annotation = run.entry()
    annotation['image_id'] = 'nowhere'
    return name, repr(annotation['id']), 'an image_id that no image has'


@fault
def category_unknown(run):
    name, annotation = run.entry()
    annotation['category_id'] = 77
    return name, repr(annotation['id']), 'a category_id that no category has'


@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found(name):
    fault.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize('name', fault)
def test_a_planted_fault_is_found_wherever_it_is(name):
    fault.look_for(name, examples=40)
