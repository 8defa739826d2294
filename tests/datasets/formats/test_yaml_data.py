"""A YAML file says where the images and annotations of a dataset are that no layout fits."""

from pathlib import Path

import pytest
from helpers.data.pictures import shapes
from helpers.data.written_formats import index, write_coco, write_labelme, write_maps, write_voc, write_yolo

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError

CLASSES = 'classes: [cat, dog & co, bird]\n'


def describe(place, task='boxes'):
    return describe_data(str(place), task, str(Path(place).parent / 'runs/a'))


def counts(data):
    return {name: (split.image_count, sum(split.objects.values())) for name, split in data.splits.items()}


def _coco(root, pictures, names):
    files = {split: (f'{split}.json', f'photos {split}', '') for split in pictures}
    write_coco(root, pictures, names, files)
    return {split: (f'photos {split}', f'{split}.json') for split in pictures}


def _yolo(root, pictures, names):
    write_yolo(root, pictures, names, None, {split: f'{split}/images' for split in pictures})
    return {split: (f'{split}/images', f'{split}/labels') for split in pictures}


def _lists(root, pictures, names):
    write_yolo(root, pictures, names, None, {split: f'{split}/images' for split in pictures})
    for split in pictures:
        listed = sorted((root / split / 'images').iterdir())
        (root / f'{split}.txt').write_text(''.join(f'{path.relative_to(root)}\n' for path in listed))
    return {split: (f'{split}.txt', f'{split}/labels') for split in pictures}


def _voc(root, pictures, names):
    write_voc(root, pictures, names, with_masks=False)
    for split in pictures:
        for folder in ('JPEGImages', 'Annotations'):
            (root / split / folder).mkdir(parents=True)
            for path in sorted((root / folder).glob(f'{split}*')):
                path.rename(root / split / folder / path.name)
    return {split: (f'{split}/JPEGImages', f'{split}/Annotations') for split in pictures}


def _labelme(root, pictures, names):
    write_labelme(root, pictures, names)
    return {split: (split, split) for split in pictures}


def write(root, form):
    pictures, names = shapes()
    places = form(root, pictures, names)
    lines = [f'{split}: {{images: {images}, annotations: {found}}}\n' for split, (images, found) in places.items()]
    (root / 'my data.yaml').write_text(CLASSES + ''.join(lines))
    return root / 'my data.yaml'


@pytest.mark.parametrize('form', [_coco, _yolo, _lists, _voc, _labelme])
def test_objects_of_each_format_are_read(form, tmp_path):
    data = describe(write(tmp_path / 'set', form))
    assert data.classes == ('cat', 'dog & co', 'bird')
    assert counts(data) == {'train': (3, 18), 'val': (2, 12)}


@pytest.mark.parametrize('form', [_coco, _yolo])
def test_one_split_is_split(form, tmp_path):
    file = write(tmp_path / 'set', form)
    file.write_text(''.join(line for line in file.read_text().splitlines(True) if not line.startswith('val')))
    data = describe(file)
    assert [count for count, _ in counts(data).values()] == [2, 1]
    assert 'There is one split: 20%' in str(data)


def test_label_maps_are_read(tmp_path):
    pictures, names = shapes()
    write_maps(tmp_path, pictures, names, 'p/{}', 'q/{}', index, image_ending='.jpg')
    text = ''.join(f'{split}: {{images: p/{split}, annotations: q/{split}}}\n' for split in pictures)
    (tmp_path / 'names.txt').write_text('background\ncat\ndog\nbird')
    (tmp_path / 'my.yaml').write_text(f'classes: names.txt\n{text}')
    data = describe(tmp_path / 'my.yaml', 'semantic')
    assert data.classes == ('background', 'cat', 'dog', 'bird')
    assert {name: split.count for name, split in data.splits.items()} == dict(train=3, val=2)


def test_masks_of_objects_are_drawn(tmp_path):
    assert describe(write(tmp_path / 'set', _yolo), 'semantic').classes == ('background', 'cat', 'dog & co', 'bird')


def _replace(old, new):
    def spoil(file):
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return spoil


@pytest.mark.parametrize(
    ('form', 'spoil', 'sentence'),
    [
        (_yolo, _replace('val:', 'vall:'), "there is no key 'vall'; the keys are classes, train, val, test"),
        (_yolo, _replace('train: {', 'x: {'), "there is no key 'x'"),
        (_yolo, _replace('train/labels', 'nowhere'), 'train.annotations is nowhere, and there is no'),
        (_yolo, _replace('images: train/images, ', ''), 'train must have the keys images and annotations'),
        (_yolo, _replace(CLASSES, ''), "YOLO's annotations have no names; say them in classes"),
        (_yolo, _replace('[cat, dog & co, bird]', '[cat, cat]'), 'classes must be a list of names, each once'),
        (_yolo, _replace('[cat, dog & co, bird]', '[cat]'), 'there is no class 1; of 1 class, the numbers are 0 to 0'),
        (_yolo, _replace('train/labels', 'train/images'), 'has no file with the name of an image'),
        (_yolo, _replace('labels', 'images'), 'has no file with the name of an image'),
        (_coco, _replace('cat, dog & co', 'dog, cat'), 'they must be the same in the same order'),
        (_labelme, _replace('cat, ', ''), "its label 'cat' is none of the classes"),
    ],
)
def test_what_is_not_clear_is_one_sentence(form, spoil, sentence, tmp_path):
    file = write(tmp_path / 'set', form)
    spoil(file)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe(file)
    assert sentence in str(error.value)
