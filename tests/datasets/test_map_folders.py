"""Folders of images and label maps are recognized as people have them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.data.map_folders import LAYOUTS, write_map_layout, write_pairs
from PIL import Image

from convnext_dense.datasets.formats.map_folders import describe_maps
from convnext_dense.errors import UsageError


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_layout_is_recognized(name, tmp_path):
    write_map_layout(tmp_path, name)
    splits, image_ending, map_ending = LAYOUTS[name]
    data = describe_maps(str(tmp_path), str(tmp_path / 'work'))
    assert (data.image_ending, data.map_ending) == (image_ending, map_ending)
    for split, (images, maps) in splits.items():
        found = data.splits[split]
        assert (found.images, found.maps, found.names) == (str(tmp_path / images), str(tmp_path / maps), '')
        assert found.count == (4 if split == 'train' else 2)
    assert data.classes == ('class 0', 'class 1')
    assert not (tmp_path / 'work').exists()


def test_images_without_splits_are_split(tmp_path):
    write_pairs(tmp_path, 'images', 'masks', count=10)
    data = describe_maps(str(tmp_path), str(tmp_path / 'work'))
    names = [set(Path(split.names).read_text().split()) for split in data.splits.values()]
    assert [len(part) for part in names] == [8, 2] == [split.count for split in data.splits.values()]
    assert names[0] | names[1] == {str(i) for i in range(10)}
    assert 'images is the only folder of images: 20%' in str(data)


def test_label_maps_are_chosen_among_other_maps(tmp_path):
    write_map_layout(tmp_path, 'Cityscapes')
    for split in ('train', 'val'):
        for path in sorted((tmp_path / 'gtFine' / split).iterdir()):
            for word in ('color', 'instanceIds', 'labelIds'):
                shutil.copy(path, path.with_name(path.name.replace('labelTrainIds', word)))
    assert describe_maps(str(tmp_path), '').map_ending == '_gtFine_labelTrainIds.png'


@pytest.mark.parametrize(
    ('values', 'names', 'ignores_zero'),
    [((0, 1), 'road\nsky\n', False), ((0, 1, 2, 255), 'road\r\nsky\r\n', True), ((0,), '\ufeffroad\nsky', False)],
)
def test_names_are_read_from_a_file(values, names, ignores_zero, tmp_path):
    write_map_layout(tmp_path, 'ADE20K', values=values)
    (tmp_path / 'classes.txt').write_text(names, encoding='utf-8')
    data = describe_maps(str(tmp_path), '')
    assert data.classes == ('road', 'sky')
    assert data.ignores_zero == ignores_zero


def _color(root):
    path = root / 'annotations/training/0.png'
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)


def _broken(root):
    (root / 'annotations/training/0.png').write_bytes(b'no image')


def _too_many_values(root):
    (root / 'classes.txt').write_text('road\n')
    shutil.rmtree(root / 'annotations/training')
    write_pairs(root, 'images/training', 'annotations/training', '.jpg', values=(0, 1, 2))


def _name_twice(root):
    (root / 'classes.txt').write_text('road\nroad\n')


def _two_endings(root):
    (root / 'images/training/0.jpg').rename(root / 'images/training/0.jpeg')


def _no_maps(root):
    shutil.rmtree(root / 'annotations')


def _no_train(root):
    for folder in ('images', 'annotations'):
        shutil.rmtree(root / folder / 'training')
        shutil.copytree(root / folder / 'validation', root / folder / 'test')


def _two_maps(root):
    shutil.copytree(root / 'annotations/training', root / 'masks/training')


def _binary(root):
    for split in ('training', 'validation'):
        shutil.rmtree(root / 'annotations' / split)
        write_pairs(root, f'images/{split}', f'annotations/{split}', '.jpg', values=(0, 255))


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (_color, 'annotations/training/0.png has 3 channels; a label map has one'),
        (_broken, 'annotations/training/0.png cannot be read as a label map'),
        (_too_many_values, 'have values up to 2, and'),
        (_name_twice, 'must have a name in each line, and none twice'),
        (_two_endings, 'images of one folder must end alike; there are 3 .jpg and 1 .jpeg'),
        (_no_maps, 'holds no folder of images and folder of label maps of the same names'),
        (_no_train, 'has no images for training with label maps, but'),
        (_two_maps, 'it is not clear which are the label maps of train: '),
        (_binary, 'have the values 0 and 255, and 255 is ignored; write 0 and 1'),
    ],
    ids=lambda value: value.__name__.strip('_') if callable(value) else '',
)
def test_what_is_not_clear_is_one_sentence(spoil, sentence, tmp_path):
    write_map_layout(tmp_path, 'ADE20K')
    spoil(tmp_path)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe_maps(str(tmp_path), str(tmp_path / 'work'))
    assert sentence in str(error.value)
