"""YOLO's datasets are read in the forms that their tools write them in."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.data.pictures import SPLITS, shapes
from helpers.data.written_formats import write_yolo
from hypothesis import given
from hypothesis import strategies as st

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.datasets.formats.objects.sources import Source
from convnext_dense.datasets.formats.objects.yolo import read_yolo
from convnext_dense.errors import UsageError

FOLDERS = {'train': 'images/train', 'val': 'images/val'}
NAMES = ['cat', 'dog & co', 'bird']


def write(root, yaml=None, folders=FOLDERS, with_masks=True):
    pictures, names = shapes()
    write_yolo(root / 'set', pictures, names, yaml, folders, with_masks)
    return root / 'set'


def describe(place, task='boxes'):
    return describe_data(str(place), task, str(Path(place).parent / 'runs/a'))


def counts(data):
    return {name: (split.image_count, sum(split.objects.values())) for name, split in data.splits.items()}


@pytest.mark.parametrize(
    'yaml',
    [
        'train: images/train\nval: images/val\nnames: [cat, dog & co, bird]\n',
        'path: ../set\ntrain: images/train\nval: images/val\nnc: 3\nnames: {0: cat, 1: dog & co, 2: bird}\n',
        'path: /somewhere/else\ntrain: [images/train]\nval: [images/val]\nnames: {"2": bird, 0: cat, 1: dog & co}\n',
        'train: train.txt\nval: lists/val.txt\nnames: [cat, dog & co, bird]\n',
        'path: .\ntrain: images/train\nval: images/val\ntest: images/nowhere\nnames: [cat, dog & co, bird]\n',
    ],
    ids=['list', 'map', 'path of another machine', 'lists of images', 'a test split that is not there'],
)
def test_each_form_of_data_yaml_is_read(yaml, tmp_path):
    place = write(tmp_path, yaml)
    (place / 'lists').mkdir()
    images = {split: sorted((place / 'images' / split).iterdir()) for split in SPLITS}
    (place / 'train.txt').write_text(''.join(f'./images/train/{path.name}\n' for path in images['train']))
    (place / 'lists/val.txt').write_text(''.join(f'{path}\n' for path in images['val']))
    for named in (place, place / 'data.yaml'):
        data = describe(named)
        assert (data.format, data.classes) == ('YOLO', tuple(NAMES))
        assert counts(data) == {'train': (3, 18), 'val': (2, 12)}


@pytest.mark.parametrize(
    ('file', 'text'),
    [
        ('classes.txt', '\n'.join(NAMES)),
        ('obj.names', '\n'.join(NAMES)),
        ('data.yaml', f'nc: 3\nnames: {json.dumps(NAMES)}'),
    ],
)
def test_names_without_places_are_read_from_a_file(file, text, tmp_path):
    place = write(tmp_path, folders={'train': 'train/images', 'val': 'valid/images'})
    (place / file).write_text(text)
    assert counts(describe(place)) == {'train': (3, 18), 'val': (2, 12)}


def test_lists_of_darknet_say_the_splits(tmp_path):
    place = write(tmp_path, folders={'train': 'obj_train_data', 'val': 'obj_train_data/b'})
    (place / 'obj.names').write_text('\n'.join(NAMES))
    for split, folder in (('train', 'obj_train_data'), ('valid', 'obj_train_data/b')):
        listed = sorted(path for path in (place / folder).glob('*.png'))
        (place / f'{split}.txt').write_text(''.join(f'data/{path.relative_to(place)}\n' for path in listed))
    assert counts(describe(place)) == {'train': (3, 18), 'val': (2, 12)}


def test_boxes_have_no_masks_unless_they_are_asked_for(tmp_path):
    place = write(tmp_path, f'train: images/train\nval: images/val\nnames: {json.dumps(NAMES)}', with_masks=False)
    assert not describe(place).has_masks
    with pytest.raises(UsageError, match='has objects without masks, which a segmenter needs'):
        describe(place, 'semantic')
    data = describe_data(str(place), 'instances', str(tmp_path / 'runs/a'), boxes_to_masks=True)
    content = json.loads(Path(data.splits['train'].annotations).read_text())
    assert data.has_masks
    for entry in content['annotations']:
        x, y, width, height = entry['bbox']
        assert entry['segmentation'][0] == pytest.approx(
            [x, y, x + width, y, x + width, y + height, x, y + height], abs=0.01
        )


def test_an_image_without_labels_has_no_objects(tmp_path):
    place = write(tmp_path, f'train: images/train\nval: images/val\nnames: {json.dumps(NAMES)}')
    next((place / 'labels/train').iterdir()).unlink()
    assert counts(describe(place))['train'] == (3, 12)


def test_keypoints_are_passed_over(tmp_path):
    yaml = f'train: images/train\nval: images/val\nkpt_shape: [2, 3]\nnames: {json.dumps(NAMES)}'
    place = write(tmp_path, yaml, with_masks=False)
    for path in (place / 'labels').rglob('*.txt'):
        path.write_text(''.join(f'{line} 0.1 0.2 2 0.3 0.4 1\n' for line in path.read_text().splitlines()))
    assert counts(describe(place)) == {'train': (3, 18), 'val': (2, 12)}


def test_another_label_is_another_conversion(tmp_path):
    place = write(tmp_path, f'train: images/train\nval: images/val\nnames: {json.dumps(NAMES)}')
    first = describe(place)
    path = next((place / 'labels/train').iterdir())
    path.write_text(path.read_text().partition('\n')[2])
    assert counts(first)['train'] == (3, 18)
    assert counts(describe(place))['train'] == (3, 17)


def _line(text):
    def spoil(root):
        path = sorted((root / 'labels/train').iterdir())[0]
        path.write_text(f'{path.read_text()}{text}\n')

    return spoil


def _yaml(text):
    return lambda root: (root / 'data.yaml').write_text(text)


def _two_yamls(root):
    shutil.copy(root / 'data.yaml', root / 'other.yml')


def _broken_image(root):
    sorted((root / 'images/train').iterdir())[0].write_bytes(b'no image')


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (
            _line('3 0.5 0.5 0.1 0.1'),
            'street 0.txt: line 7: there is no class 3; of 3 classes, the numbers are 0 to 2.',
        ),
        (_line('-1 0.5 0.5 0.1 0.1'), 'there is no class -1'),
        (_line('0.5 0.5 0.5 0.1 0.1'), 'there is no class 0.5'),
        (_line('0 50 50 10 10'), 'numbers are parts of the width or height, from 0 to 1; got 50.'),
        (_line('0 nan 0.5 0.1 0.1'), 'numbers are parts of the width or height'),
        (_line('0 0.5 0.5 -0.1 0.1'), 'the box is -0.1 wide and 0.1 high'),
        (_line('0 0.5 0.5 0.1'), 'after the class are 3 numbers; a box has 4'),
        (_line('0 0.5 0.5 0.1 0.1 0.9'), 'after the class are 5 numbers'),
        (_line('cat 0.5 0.5 0.1 0.1'), "a word is no number in 'cat 0.5 0.5 0.1 0.1'"),
        (_broken_image, 'street 0.png cannot be read'),
        (_two_yamls, 'has several files of YOLO'),
        (_yaml('train: images/train\nval: [\nnames: a'), 'data.yaml is no YAML'),
        (_yaml('train: images/train\nval: images/val\nnames: 3'), 'names must be a list of names'),
        (_yaml('train: images/train\nval: images/val\nnames: [a, a]'), 'a name is there twice'),
        (_yaml('train: images/train\nval: images/val\nnames: {0: a, 2: b}'), 'names must have the numbers 0 to 1'),
        (_yaml('train: images/train\nval: images/val\nnc: 4\nnames: [a, b]'), 'nc is 4, and there are 2 names'),
        (_yaml('train: images/tain\nval: images/val\nnames: [a]'), 'train is images/tain, which is not in'),
        (_yaml('train: 3\nval: images/val\nnames: [a]'), 'train must be a folder, a file, or a list of them; got 3'),
        (_yaml('val: images/val\nnames: [cat, dog, bird]'), 'has no images for training, but 2 for val'),
    ],
)
def test_what_cannot_be_read_is_one_sentence(spoil, sentence, tmp_path):
    place = write(tmp_path, f'train: images/train\nval: images/val\nnames: {json.dumps(NAMES)}')
    spoil(place)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe(place)
    assert sentence in str(error.value)


def test_all_that_cannot_be_read_is_reported(tmp_path):
    place = write(tmp_path, f'train: images/train\nval: images/val\nnames: {json.dumps(NAMES)}')
    _line('7 0.5 0.5 0.1 0.1\nx')(place)
    _broken_image(place)
    said = []
    data = describe_data(str(place), 'boxes', str(tmp_path / 'runs/a'), report=said.append)
    assert len(said) == 1
    assert counts(data)['train'] == (2, 12)


@given(text=st.text(alphabet='0123456789.- e\nnafi\t', max_size=60))
def test_no_label_is_a_traceback(text, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / 'fuzz'
    if not folder.exists():
        pictures, names = shapes(counts=(1, 1))
        write_yolo(folder, pictures, names, None, FOLDERS)
    labels = folder / 'a.txt'
    labels.write_text(text)
    found = read_yolo(NAMES, 0, Source(folder / 'images/train/street 0.png', labels))
    lines = [line for line in text.splitlines() if line.split()]
    assert len(found.objects) + len(found.faults) == len(lines)
    for each in found.objects:
        x, y, width, height = each.box
        assert min(x, y, width, height) >= 0
        assert x + width <= 96.01
        assert y + height <= 64.01
