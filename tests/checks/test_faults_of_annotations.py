"""Faults planted anywhere in annotation files and their folders are found, by file, id and field."""

import json
import math
import tempfile
from pathlib import Path

import pytest
from helpers.planted.runs import SIDE, DetectorRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convnext_dense.checks.annotations.find import find_in_annotations
from convnext_dense.checks.files import find_in_files
from convnext_dense.checks.run_plan import RunPlan

FAULTS = {}


def fault(plant):
    """Add a function that spoils a run, and returns the words that the sentence has."""
    FAULTS[plant.__name__] = plant
    return plant


def planted(run, kind='annotations'):
    """Choose a split and one of its entries."""
    split = run.split()
    return run.path(split).name, run.pick(run.files[split][kind])


def found(plan: RunPlan) -> list:
    return [*find_in_files(plan), *find_in_annotations(plan)]


def spoil(field, value, kind='annotations'):
    """Return a function that gives one entry a value."""

    def plant(run):
        name, entry = planted(run, kind)
        entry[field] = run.draw(value) if isinstance(value, st.SearchStrategy) else value
        return name, repr(entry['id']), field

    return plant


def leave_out(field, kind='annotations'):
    def plant(run):
        name, entry = planted(run, kind)
        del entry[field]
        return name, *([repr(entry['id'])] if 'id' in entry else []), f'no {field!r}'

    return plant


for noun, fields in (
    ('images', ('id', 'file_name', 'height', 'width')),
    ('annotations', ('id', 'image_id', 'category_id', 'bbox', 'segmentation')),
    ('categories', ('id', 'name')),
):
    for field_name in fields:
        FAULTS[f'{noun}_without_{field_name}'] = leave_out(field_name, noun)
not_an_id = st.sampled_from([None, [1], {}, True])
not_a_number = st.sampled_from([None, '64', [64], {}])
FAULTS |= {
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
def box_without_area(run):
    name, annotation = planted(run)
    annotation['bbox'] = run.draw(st.sampled_from([[8, 8, 0, 8], [8, 8, 8, 0.5], [8, 8, -4, 8]]))
    return name, repr(annotation['id']), 'no area', 'mmdet drops it'


@fault
def area_not_positive(run):
    name, annotation = planted(run)
    annotation['area'] = run.draw(st.integers(-5, 0))
    return name, repr(annotation['id']), 'no area', 'mmdet drops it'


@fault
def box_outside(run):
    name, annotation = planted(run)
    far = run.draw(st.integers(SIDE, 10 * SIDE))
    annotation['bbox'] = run.draw(st.sampled_from([[far, 8, 8, 8], [8, far, 8, 8], [-far, 8, 8, 8]]))
    return name, repr(annotation['id']), 'outside of the image', 'mmdet drops it'


@fault
def image_unknown(run):
    name, annotation = planted(run)
    annotation['image_id'] = 'nowhere'
    return name, repr(annotation['id']), 'an image_id that no image has'


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
def category_unknown(run):
    name, annotation = planted(run)
    annotation['category_id'] = 77
    return name, repr(annotation['id']), 'a category_id that no category has'


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
def polygon_not_finite_or_far(run):
    name, annotation = planted(run)
    polygon = [1.0, 1.0, 9.0, 1.0, 9.0, 9.0, 1.0, 9.0]
    polygon[run.draw(st.integers(0, 7))] = run.draw(st.sampled_from([math.nan, math.inf, 1e9, -1e9, 10**400]))
    annotation['segmentation'] = [[1, 1, 9, 1, 9, 9], polygon]
    return name, repr(annotation['id']), 'not finite or beyond'


@fault
def polygon_of_two_points(run):
    name, annotation = planted(run)
    annotation['segmentation'] = [[1, 1, 9, 9]]
    return name, repr(annotation['id']), 'fewer than three points'


@fault
def polygon_of_odd_length(run):
    name, annotation = planted(run)
    annotation['segmentation'] = [[1, 1, 9, 1, 9, 9, 4]]
    return name, repr(annotation['id']), 'odd number of coordinates'


@fault
def polygon_without_points_in_validation(run):
    annotation = run.pick(run.files['val']['annotations'])
    annotation['segmentation'] = [[]]
    return run.path('val').name, repr(annotation['id']), 'fewer than two points'


@fault
def polygon_not_nested(run):
    name, annotation = planted(run)
    annotation['segmentation'] = run.draw(
        st.sampled_from([[1, 1, 9, 1, 9, 9], 'mask.png', [[1, 1, 'x', 3, 9, 9]], [None]])
    )
    return name, repr(annotation['id']), 'neither a list of polygons'


@fault
def segmentation_empty(run):
    name, annotation = planted(run)
    annotation['segmentation'] = run.draw(st.sampled_from([[], None, {}]))
    return name, repr(annotation['id']), "no 'segmentation'"


@fault
def run_lengths_without_a_field(run):
    name, annotation = planted(run)
    annotation['segmentation'] = run.draw(st.sampled_from([dict(counts=[1, SIDE * SIDE - 1]), dict(size=[SIDE, SIDE])]))
    return name, repr(annotation['id']), "without 'counts' or 'size'"


@fault
def run_lengths_of_another_size(run):
    name, annotation = planted(run)
    height = run.draw(st.sampled_from([1, SIDE // 2, 10**6]))
    annotation['segmentation'] = dict(size=[height, SIDE], counts=[0, height * SIDE])
    return name, repr(annotation['id']), 'another size than the image'


@fault
def run_lengths_too_long_or_short(run):
    name, annotation = planted(run)
    extra = run.draw(st.integers(1 - SIDE * SIDE, 10**6).filter(bool))
    annotation['segmentation'] = dict(size=[SIDE, SIDE], counts=[0, SIDE * SIDE + extra])
    return name, repr(annotation['id']), 'do not add up'


@fault
def run_lengths_negative(run):
    name, annotation = planted(run)
    annotation['segmentation'] = dict(size=[SIDE, SIDE], counts=[-5, SIDE * SIDE + 5])
    return name, repr(annotation['id']), 'negative'


@fault
def run_lengths_compressed_garbage(run):
    name, annotation = planted(run)
    counts = run.draw(st.sampled_from(['', '52b', 'øø', '~~~~', 'PPPPPPPPPPPP1']))
    annotation['segmentation'] = dict(size=[SIDE, SIDE], counts=counts)
    return name, repr(annotation['id']), 'run lengths that'


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


FAULTS |= {f'no_list_of_{key}': drop_list(key) for key in ('images', 'categories')}


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


@fault
def file_missing(run):
    split = run.split()
    run.dataset(split).ann_file = 'annotations/nowhere.json'
    return f'{split}_dataloader.dataset.ann_file', 'there is no', 'nowhere.json'


@fault
def file_missing_in_wrappers(run):
    inner = run.dataset('train')
    other = {**inner, 'ann_file': 'nowhere.json'}
    wrapped = dict(type='ConcatDataset', datasets=[inner, other])
    run.cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=wrapped)
    return 'train_dataloader.dataset.dataset.datasets.1.ann_file', 'nowhere.json'


@fault
def data_missing_in_wrappers(run):
    inner = run.dataset('train')
    other = {**inner, 'data_root': str(run.root / 'nowhere')}
    run.cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, other])
    return 'train_dataloader.dataset.datasets.1.data_root', 'there is no folder', 'nowhere'


@fault
def fault_in_wrappers(run):
    annotation = run.pick(run.files['train']['annotations'])
    annotation['bbox'] = None
    run.cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=run.dataset('train'))
    return run.path('train').name, repr(annotation['id']), "'bbox' null"


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


@fault
def image_missing(run):
    split = run.split()
    path = run.root / f'{split}2017' / run.pick(run.files[split]['images'])['file_name']
    path.unlink()
    return f'{split}_dataloader.dataset', 'there is no image', str(path)


@fault
def image_is_a_folder(run):
    split = run.split()
    path = run.root / f'{split}2017' / run.pick(run.files[split]['images'])['file_name']
    path.unlink()
    path.mkdir()
    return f'{split}_dataloader.dataset', str(path)


@fault
def image_with_backslashes(run):
    name, image = planted(run, 'images')
    image['file_name'] = f'x\\{image["file_name"]}'
    return name, repr(image['id']), 'backslash'


@fault
def image_outside_of_the_data(run):
    name, image = planted(run, 'images')
    folder = run.root / run.draw(st.sampled_from(['train2017', 'val2017']))
    (folder / 'outside.jpg').touch()
    image['file_name'] = run.draw(st.sampled_from([f'{folder}/outside.jpg', f'../{folder.name}/outside.jpg']))
    return name, repr(image['id']), 'file_name', 'leaves'


@fault
def image_folder_missing(run):
    split = run.split()
    run.dataset(split).data_prefix = dict(img='nowhere/')
    return f'{split}_dataloader.dataset.data_prefix.img', 'there is no folder', 'nowhere', 'train2017'


def check(plant, data):
    with tempfile.TemporaryDirectory() as folder:
        run = DetectorRun(Path(folder), data)
        words = plant(run) if plant else ()
        sentences = [finding.sentence for finding in found(run.plan())]
    if plant is None:
        assert not sentences
    else:
        assert any(all(word in sentence for word in words) for sentence in sentences), (words, sentences)
    assert all(sentence.endswith('.') and '\n' not in sentence for sentence in sentences)


quick = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
thorough = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize('name', FAULTS)
def test_a_planted_fault_is_found(name):
    quick(given(st.data())(lambda data: check(FAULTS[name], data)))()


@pytest.mark.full
@pytest.mark.parametrize('name', FAULTS)
def test_a_planted_fault_is_found_wherever_it_is(name):
    thorough(given(st.data())(lambda data: check(FAULTS[name], data)))()


def test_nothing_is_found_in_right_files():
    quick(given(st.data())(lambda data: check(None, data)))()


def test_there_are_many_kinds_of_faults():
    assert len(FAULTS) > 60
