"""Pascal VOC's datasets are read as people leave them."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.data.pictures import shapes
from helpers.data.written_formats import write_voc

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError


@pytest.fixture
def place(tmp_path):
    pictures, names = shapes()
    write_voc(tmp_path / 'set', pictures, names, with_masks=False)
    return tmp_path / 'set'


def describe(place, task='boxes'):
    return describe_data(str(place), task, str(place.parent / 'runs/a'))


def counts(data):
    return {name: (split.image_count, sum(split.objects.values())) for name, split in data.splits.items()}


def edit(place, old, new, stem='train_street 0'):
    path = place / 'Annotations' / f'{stem}.xml'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_lists_say_the_splits(place):
    data = describe(place)
    assert data.format == 'Pascal VOC'
    assert data.classes == ('bird', 'cat', 'dog & co')
    assert counts(data) == {'train': (3, 18), 'val': (2, 12)}
    assert not data.has_masks


def test_trainval_is_passed_over_where_there_are_both(place):
    lists = place / 'ImageSets/Main'
    (lists / 'trainval.txt').write_text((lists / 'train.txt').read_text() + (lists / 'val.txt').read_text())
    (lists / 'cat_train.txt').write_text('train_street 0  1\n')
    assert counts(describe(place)) == {'train': (3, 18), 'val': (2, 12)}
    (lists / 'train.txt').unlink()
    (lists / 'val.txt').rename(lists / 'test.txt')
    assert counts(describe(place)) == {'train': (5, 30), 'val': (2, 12), 'test': (2, 12)}


def test_without_lists_folders_say_the_splits(place):
    shutil.rmtree(place / 'ImageSets')
    for split in ('train', 'val'):
        (place / split).mkdir()
        for path in [*(place / 'Annotations').glob(f'{split}*'), *(place / 'JPEGImages').glob(f'{split}*')]:
            path.rename(place / split / path.name)
    assert counts(describe(place)) == {'train': (3, 18), 'val': (2, 12)}


def test_without_any_split_a_part_is_for_validation(place):
    shutil.rmtree(place / 'ImageSets')
    data = describe(place)
    assert [count for count, _ in counts(data).values()] == [4, 1]
    assert 'There is one split: 20% of its images are for validation' in str(data)


def test_what_is_left_out_is_said(place):
    (place / 'Annotations' / 'train_street 2.xml').unlink()
    (place / 'JPEGImages' / 'val_street 1.jpg').unlink()
    shutil.copy(place / 'JPEGImages' / 'train_street 0.jpg', place / 'JPEGImages' / 'new.jpg')
    said = str(describe(place))
    assert 'left out: 1 file of annotations without an image, such as' in said
    assert 'left out: 2 images without annotations, such as' in said
    assert 'left out: 2 images without annotations, such as train_street 2 of' in said


def test_difficult_objects_are_ignored(place):
    edit(place, '<difficult>0', '<difficult>1')
    content = json.loads(Path(describe(place).splits['train'].annotations).read_text())
    assert sum(entry['iscrowd'] for entry in content['annotations']) == 1


def test_polygons_are_masks(place):
    for path in (place / 'Annotations').iterdir():
        polygon = ''.join(f'<x{i}>{x}</x{i}><y{i}>{y}</y{i}>' for i, (x, y) in enumerate([(1, 2), (9, 2), (9, 8)], 1))
        path.write_text(path.read_text().replace('</object>', f'<polygon>{polygon}</polygon></object>'))
    data = describe(place, 'instances')
    assert data.has_masks
    content = json.loads(Path(data.splits['train'].annotations).read_text())
    assert {str(entry['segmentation']) for entry in content['annotations']} == {'[[1.0, 2.0, 9.0, 2.0, 9.0, 8.0]]'}


def test_a_file_without_a_size_has_that_of_the_image(place):
    edit(place, '<width>96</width><height>64</height>', '<width>0</width>')
    content = json.loads(Path(describe(place).splits['train'].annotations).read_text())
    assert {(image['width'], image['height']) for image in content['images']} == {(96, 64)}


def test_an_image_of_another_name_is_the_one_that_the_file_names(place):
    path = place / 'JPEGImages' / 'train_street 0.jpg'
    path.rename(path.with_name('renamed.jpg'))
    edit(place, 'train_street 0.jpg', 'C:\\photos\\renamed.jpg')
    assert counts(describe(place))['train'] == (3, 18)


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('<annotation>', '<annotation', 'train_street 0.xml: it is no XML: '),
        ('<annotation>', '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', 'it defines entities'),
        ('<name>cat</name>', '<name> </name>', 'object 1: it has no name'),
        ('<xmin>', '<xmin>x', 'object 1: its bndbox needs numbers as xmin, ymin, xmax and ymax'),
        ('<name>', '<polygon><x1>1</x1></polygon><name>', 'its polygon needs numbers as x1, y1, x2, y2 and so on'),
        ('<name>', '<polygon><x1>1</x1><y1>1</y1></polygon><name>', 'its polygon needs three points, and has 1'),
        ('<xmin>', '<xmin>99', 'object 1: xmax and ymax must be larger than xmin and ymin; got 99'),
    ],
)
def test_what_cannot_be_read_is_one_sentence(old, new, sentence, place):
    edit(place, old, new)
    with pytest.raises(UsageError, match=r'^data: .*train_street 0.xml: ') as error:
        describe(place)
    assert sentence in str(error.value)
