"""Datasets of COCO's form are recognized in the layouts that people have them in."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.data.coco_layouts import CATEGORIES, LAYOUTS, POLYGON, write_layout, write_split

from convnext_dense.datasets.formats.coco import describe_coco
from convnext_dense.errors import UsageError


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_layout_is_recognized(name, tmp_path):
    write_layout(tmp_path, name)
    data = describe_coco(str(tmp_path), str(tmp_path / 'work'))
    assert data.classes == ('cat', 'dog')
    assert data.has_masks
    train, val = data.splits['train'], data.splits['val']
    for split, part, count in ((train, LAYOUTS[name][0], 4), (val, LAYOUTS[name][1], 2)):
        assert split.annotations == str(tmp_path / part[0])
        assert split.images == str(tmp_path / part[1])
        assert (split.image_count, split.objects) == (count, dict(cat=1, dog=count))
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('place', ['.', 'annotations/instances_default.json'])
def test_a_file_that_is_alone_is_split(place, tmp_path):
    write_split(tmp_path, 'annotations/instances_default.json', 'images', '', count=10)
    descriptions = [describe_coco(str(tmp_path / place), str(tmp_path / work)) for work in ('a', 'b')]
    assert 'instances_default.json is the only annotation file: 20%' in str(descriptions[0])
    for data in descriptions:
        names = [
            {image['file_name'] for image in json.loads(Path(split.annotations).read_text())['images']}
            for split in data.splits.values()
        ]
        assert [len(part) for part in names] == [8, 2]
        assert not names[0] & names[1]
        assert {split.images for split in data.splits.values()} == {str(tmp_path / 'images')}
        assert sum(sum(split.objects.values()) for split in data.splits.values()) == 11
    texts = [Path(data.splits['val'].annotations).read_text() for data in descriptions]
    assert texts[0] == texts[1]


def test_a_category_that_is_the_name_of_a_group_is_left_out(tmp_path):
    group = dict(id=0, name='pets', supercategory='none')
    members = [dict(id=1, name='dog', supercategory='pets'), dict(id=3, name='cat', supercategory='pets')]
    for name in ('train', 'valid'):
        write_split(tmp_path, f'{name}/_annotations.coco.json', name, '', categories=[group, *members])
    data = describe_coco(str(tmp_path), '')
    assert data.classes == ('dog', 'cat')
    assert "'pets' is left out" in str(data)


def test_objects_without_masks_are_boxes(tmp_path):
    write_layout(tmp_path, 'COCO')
    file = tmp_path / 'annotations' / 'instances_train2017.json'
    file.write_text(file.read_text().replace(json.dumps(POLYGON), '[]'))
    assert not describe_coco(str(tmp_path), '').has_masks


def test_files_of_other_tasks_are_passed_over(tmp_path):
    write_layout(tmp_path, 'COCO')
    folder = tmp_path / 'annotations'
    for name in ('person_keypoints_train2017.json', 'captions_train2017.json'):
        shutil.copy(folder / 'instances_train2017.json', folder / name)
    (tmp_path / 'license.json').write_text('{"name": "MIT"}')
    assert describe_coco(str(tmp_path), '').splits['train'].annotations.endswith('instances_train2017.json')


def _second_file(root):
    shutil.copy(root / 'annotations' / 'instances_train2017.json', root / 'train.json')


def _other_classes(root):
    file = root / 'annotations' / 'instances_val2017.json'
    file.write_text(file.read_text().replace('"cat"', '"Cat"'))


def _no_train(root):
    (root / 'annotations' / 'instances_train2017.json').rename(root / 'annotations' / 'instances_test2017.json')


def _no_images(root):
    shutil.rmtree(root / 'val2017')
    shutil.rmtree(root / 'train2017')


def _no_annotations(root):
    shutil.rmtree(root / 'annotations')


def _broken(root):
    file = root / 'annotations' / 'instances_val2017.json'
    file.write_text(file.read_text()[:100])


def _empty(root):
    file = root / 'annotations' / 'instances_train2017.json'
    file.write_text(json.dumps(dict(images=[], annotations=[], categories=CATEGORIES)))


def _one_for_each_image(root):
    for i in range(30):
        (root / 'train2017' / f'{i}.json').write_text('{}')


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (_second_file, "two annotation files of the split 'train'"),
        (_other_classes, "has the classes ['Cat', 'dog'], but"),
        (_no_train, 'no annotation file for training, but'),
        (_no_images, 'such as 0.png, are in no folder of'),
        (_no_annotations, 'holds no JSON file with images, annotations and categories'),
        (_broken, 'instances_val2017.json: is no JSON: '),
        (_empty, 'instances_train2017.json has no images'),
        (_one_for_each_image, 'JSON files or more'),
    ],
    ids=lambda value: value.__name__.strip('_') if callable(value) else '',
)
def test_what_is_not_clear_is_one_sentence(spoil, sentence, tmp_path):
    write_layout(tmp_path, 'COCO')
    spoil(tmp_path)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe_coco(str(tmp_path), str(tmp_path / 'work'))
    assert sentence in str(error.value)


def test_a_place_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match=r'^data: there is no '):
        describe_coco(str(tmp_path / 'nowhere'), '')
