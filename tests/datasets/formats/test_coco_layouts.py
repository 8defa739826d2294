"""Datasets of COCO's form are recognized in the layouts that people have them in."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.data.coco_layouts import CATEGORIES, LAYOUTS, POLYGON, write_layout, write_split

from convnext_dense.datasets.formats import places
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.datasets.formats.places import split_name
from convnext_dense.errors import UsageError


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_layout_is_recognized(name, tmp_path):
    write_layout(tmp_path, name)
    data = describe_data(str(tmp_path), 'boxes', str(tmp_path / 'work'))
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
    descriptions = [describe_data(str(tmp_path / place), 'boxes', str(tmp_path / work)) for work in ('a', 'b')]
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


def test_parts_of_a_split_are_written_whole_or_not(tmp_path):
    place = tmp_path / 'set'
    write_split(place, 'all.json', 'images', '')
    describe_data(str(place), 'boxes', str(tmp_path / 'run'))
    assert sorted(path.name for path in (tmp_path / 'run' / 'converted_data').iterdir()) == ['train.json', 'val.json']
    (tmp_path / 'file').touch()
    with pytest.raises(UsageError, match=r'^work_dir: .*train.json cannot be written: '):
        describe_data(str(place), 'boxes', str(tmp_path / 'file'))


def test_a_category_that_is_the_name_of_a_group_is_left_out(tmp_path):
    group = dict(id=0, name='pets', supercategory='none')
    members = [dict(id=1, name='dog', supercategory='pets'), dict(id=3, name='cat', supercategory='pets')]
    for name in ('train', 'valid'):
        write_split(tmp_path, f'{name}/_annotations.coco.json', name, '', categories=[group, *members])
    data = describe_data(str(tmp_path), 'boxes', '')
    assert data.classes == ('dog', 'cat')
    assert "'pets' is left out" in str(data)


def test_objects_without_masks_are_boxes(tmp_path):
    write_layout(tmp_path, 'COCO')
    file = tmp_path / 'annotations' / 'instances_train2017.json'
    file.write_text(file.read_text().replace(json.dumps(POLYGON), '[]'))
    assert not describe_data(str(tmp_path), 'boxes', '').has_masks


def test_files_of_other_tasks_are_passed_over(tmp_path):
    write_layout(tmp_path, 'COCO')
    folder = tmp_path / 'annotations'
    for name in ('person_keypoints_train2017.json', 'captions_train2017.json'):
        shutil.copy(folder / 'instances_train2017.json', folder / name)
    (tmp_path / 'license.json').write_text('{"name": "MIT"}')
    assert describe_data(str(tmp_path), 'boxes', '').splits['train'].annotations.endswith('instances_train2017.json')


def _edit(root, change, names=('train', 'val')):
    for name in names:
        file = root / 'annotations' / f'instances_{name}2017.json'
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))


def test_files_that_systems_and_runs_leave_are_passed_over(tmp_path):
    write_layout(tmp_path, 'COCO')
    for folder in ('.ipynb_checkpoints', '__MACOSX', 'work_dirs/a/data', 'run/converted_data'):
        shutil.copytree(tmp_path / 'annotations', tmp_path / folder)
    (tmp_path / 'annotations' / '._instances_train2017.json').write_bytes(b'\0\5')
    (tmp_path / 'loop').symlink_to(tmp_path)
    splits = describe_data(str(tmp_path), 'boxes', str(tmp_path / 'run')).splits
    assert {Path(split.annotations).parent.name for split in splits.values()} == {'annotations'}


def test_a_split_that_lacks_an_image_keeps_its_folder(tmp_path):
    write_layout(tmp_path, 'COCO')
    (tmp_path / 'val2017' / '1.png').unlink()
    assert describe_data(str(tmp_path), 'boxes', '').splits['val'].images == str(tmp_path / 'val2017')


def test_label_maps_are_not_taken_for_images(tmp_path):
    write_layout(tmp_path, 'COCO')
    shutil.copytree(tmp_path / 'train2017', tmp_path / 'masks' / 'train')
    assert describe_data(str(tmp_path), 'boxes', '').splits['train'].images == str(tmp_path / 'train2017')


def test_links_to_the_images_are_the_images(tmp_path):
    write_split(tmp_path, 'all.json', 'a', '')
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    assert describe_data(str(tmp_path), 'boxes', str(tmp_path / 'run')).splits['train'].images == str(tmp_path / 'a')


def test_each_file_has_its_own_ids(tmp_path):
    write_layout(tmp_path, 'COCO')

    def add_ten(content):
        for category in content['categories']:
            category['id'] += 10
        for annotation in content['annotations']:
            annotation['category_id'] += 10

    _edit(tmp_path, add_ten, ['val'])
    assert describe_data(str(tmp_path), 'boxes', '').splits['val'].objects == dict(cat=1, dog=2)


def test_a_class_named_as_its_own_group_stays(tmp_path):
    write_layout(tmp_path, 'COCO')
    _edit(tmp_path, lambda content: content['categories'].append(dict(id=5, name='person', supercategory='person')))
    assert describe_data(str(tmp_path), 'boxes', '').classes == ('cat', 'dog', 'person')


@pytest.mark.parametrize('segmentation', [[], [[]], None])
def test_masks_of_one_split_are_no_masks(segmentation, tmp_path):
    write_layout(tmp_path, 'COCO')
    _edit(tmp_path, lambda content: content['annotations'][0].update(segmentation=segmentation), ['val'])
    assert not describe_data(str(tmp_path), 'boxes', '').has_masks


def test_a_file_whose_split_is_not_known_is_left_out(tmp_path):
    write_layout(tmp_path, 'COCO')
    shutil.copy(tmp_path / 'annotations' / 'instances_val2017.json', tmp_path / 'holdout.json')
    assert 'holdout.json is left out' in str(describe_data(str(tmp_path), 'boxes', ''))


@pytest.mark.parametrize(
    ('name', 'split'),
    [
        *(('latest', ''), ('contest', ''), ('straining', ''), ('evaluation', ''), ('test2017', 'test')),
        *(('trainval', 'train'), ('train_val', 'train'), ('test-dev2017', 'test'), ('valImages', 'val')),
    ],
)
def test_a_name_says_its_split(name, split):
    assert split_name(Path('data', name), Path('data')) == split


def test_too_many_folders_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(places, 'MOST_FOLDERS', 3)
    write_layout(tmp_path, 'COCO')
    with pytest.raises(UsageError, match='more than 3 folders'):
        describe_data(str(tmp_path), 'boxes', '')


def _second_file(root):
    shutil.copy(root / 'annotations' / 'instances_train2017.json', root / 'train.json')


def _other_classes(root):
    file = root / 'annotations' / 'instances_val2017.json'
    file.write_text(file.read_text().replace('"cat"', '"Cat"'))


def _no_train(root):
    (root / 'annotations' / 'instances_train2017.json').rename(root / 'annotations' / 'instances_test2017.json')


def _byte_order_mark(root):
    file = root / 'annotations' / 'instances_val2017.json'
    file.write_text(file.read_text(), encoding='utf-8-sig')


def _utf_16(root):
    file = root / 'annotations' / 'instances_val2017.json'
    file.write_text(file.read_text(), encoding='utf-16')


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


def _name_twice(root):
    _edit(root, lambda content: content['categories'][0].update(name='dog'))


def _id_twice(root):
    _edit(root, lambda content: content['categories'][0].update(id=1))


def _no_name(root):
    _edit(root, lambda content: content['categories'][0].update(name=None))


def _no_categories(root):
    _edit(root, lambda content: content.update(categories=[]))


def _null_categories(root):
    _edit(root, lambda content: content.update(categories=None), ['train'])


def _two_folders(root):
    (root / 'train2017').rename(root / 'a')
    shutil.rmtree(root / 'val2017')
    shutil.copytree(root / 'a', root / 'b')


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
        (_no_annotations, 'holds no dataset of objects: no JSON files of COCO'),
        (_broken, 'instances_val2017.json: is no JSON: '),
        (_byte_order_mark, 'is no JSON: Unexpected UTF-8 BOM'),
        (_utf_16, "is no JSON: 'utf-8' codec can't decode"),
        (_empty, 'instances_train2017.json has no images'),
        (_name_twice, "with id 1 and name 'dog' has the id or the name of another"),
        (_id_twice, 'has the id or the name of another'),
        (_no_name, "a category needs a whole number as id, and a name; got {'id': 3, 'name': None}"),
        (_no_categories, 'instances_train2017.json has no categories'),
        (_null_categories, 'images, annotations and categories must be lists of objects'),
        (_two_folders, 'have files of the same names'),
        (_one_for_each_image, 'holds no dataset of objects: no JSON files of COCO'),
    ],
    ids=lambda value: value.__name__.strip('_') if callable(value) else '',
)
def test_what_is_not_clear_is_one_sentence(spoil, sentence, tmp_path):
    write_layout(tmp_path, 'COCO')
    spoil(tmp_path)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe_data(str(tmp_path), 'boxes', str(tmp_path / 'work'))
    assert sentence in str(error.value)


def test_a_place_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match=r'^data: there is no '):
        describe_data(str(tmp_path / 'nowhere'), 'boxes', '')


def test_boxes_are_masks_for_a_segmenter_if_it_is_asked_for(tmp_path):
    write_layout(tmp_path / 'set', 'COCO', segmentation=[])
    place, work_dir = str(tmp_path / 'set'), str(tmp_path / 'runs/a')
    with pytest.raises(UsageError, match='has objects without masks'):
        describe_data(place, 'semantic', work_dir)
    assert describe_data(place, 'semantic', work_dir, boxes_to_masks=True).classes == ('background', 'cat', 'dog')
