"""Folders of images and label maps are recognized as people have them."""

import shutil
from pathlib import Path

import pytest
from helpers.data.map_folders import LAYOUTS, write_map_layout, write_pairs

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_layout_is_recognized(name, tmp_path):
    write_map_layout(tmp_path, name)
    splits, image_ending, map_ending = LAYOUTS[name]
    data = describe_data(str(tmp_path), 'semantic', str(tmp_path / 'work'))
    assert (data.image_ending, data.map_ending) == (image_ending, map_ending)
    for split, (images, maps) in splits.items():
        found = data.splits[split]
        assert (found.images, found.maps, found.names) == (str(tmp_path / images), str(tmp_path / maps), '')
        assert found.count == (4 if split == 'train' else 2)
    assert len(data.classes) == (19 if name == 'Cityscapes' else 2)
    assert not (tmp_path / 'work').exists()


def test_images_without_splits_are_split(tmp_path):
    write_pairs(tmp_path, 'images', 'masks', count=10)
    data = describe_data(str(tmp_path), 'semantic', str(tmp_path / 'work'))
    names = [set(Path(split.names).read_text().split()) for split in data.splits.values()]
    assert [len(part) for part in names] == [8, 2] == [split.count for split in data.splits.values()]
    assert names[0] | names[1] == {str(i) for i in range(10)}
    assert 'There is one split: 20% of its images are for validation' in str(data)


def test_label_maps_are_chosen_among_other_maps(tmp_path):
    write_map_layout(tmp_path, 'Cityscapes')
    for split in ('train', 'val'):
        for path in sorted((tmp_path / 'gtFine' / split).iterdir()):
            for word in ('color', 'instanceIds', 'labelIds'):
                shutil.copy(path, path.with_name(path.name.replace('labelTrainIds', word)))
    assert describe_data(str(tmp_path), 'semantic', '').map_ending == '_gtFine_labelTrainIds.png'


@pytest.mark.parametrize(
    ('values', 'names', 'ignores_zero'),
    [((0, 1), 'road\nsky\n', False), ((0, 1, 2, 255), 'road\r\nsky\r\n', True), ((0,), '\ufeffroad\nsky', False)],
)
def test_names_are_read_from_a_file(values, names, ignores_zero, tmp_path):
    write_map_layout(tmp_path, 'ADE20K', values=values)
    (tmp_path / 'classes.txt').write_text(names, encoding='utf-8')
    data = describe_data(str(tmp_path), 'semantic', '')
    assert data.classes == ('road', 'sky')
    assert data.ignores_zero == ignores_zero


def test_folders_in_a_split_are_parts_of_it(tmp_path):
    for split, city, count in (('train', 'aachen', 2), ('train', 'bochum', 3), ('val', 'lindau', 2)):
        folders = (f'leftImg8bit/{split}/{city}', f'gtFine/{split}/{city}')
        write_pairs(tmp_path, *folders, '_leftImg8bit.png', '_gtFine_labelTrainIds.png', count, prefix=f'{city}_')
    splits = describe_data(str(tmp_path), 'semantic', '').splits
    assert {name: (split.count, split.images) for name, split in splits.items()} == {
        'train': (5, str(tmp_path / 'leftImg8bit/train')),
        'val': (2, str(tmp_path / 'leftImg8bit/val')),
    }


def test_images_in_a_folder_of_train_alone_are_split(tmp_path):
    write_pairs(tmp_path, 'images/train', 'masks/train', count=5)
    splits = describe_data(str(tmp_path), 'semantic', str(tmp_path / 'run')).splits
    assert [split.count for split in splits.values()] == [4, 1]


@pytest.mark.parametrize('i', range(4))
def test_images_without_a_label_map_are_left_out(i, tmp_path):
    write_map_layout(tmp_path, 'ADE20K')
    (tmp_path / f'annotations/training/{i}.png').unlink()
    data = describe_data(str(tmp_path), 'semantic', str(tmp_path / 'run'))
    assert Path(data.splits['train'].names).read_text().split() == [str(j) for j in range(4) if j != i]
    assert not data.splits['val'].names
    assert str(data).count('are left out: 1.') == 1


def test_label_maps_in_the_folder_of_images_are_no_images(tmp_path):
    for split in ('train', 'val'):
        write_pairs(tmp_path, split, f'{split}/masks')
    split = describe_data(str(tmp_path), 'semantic', str(tmp_path / 'run')).splits['train']
    assert Path(split.names).read_text().split() == ['0', '1', '2']


def test_files_that_systems_leave_are_passed_over(tmp_path):
    write_map_layout(tmp_path, 'ADE20K')
    for folder in ('images', 'annotations'):
        shutil.copytree(tmp_path / folder, tmp_path / '__MACOSX' / folder)
        shutil.copytree(tmp_path / folder, tmp_path / '.ipynb_checkpoints' / folder)
    (tmp_path / 'images/training/._0.jpg').write_bytes(b'')
    (tmp_path / 'images/training/Thumbs.db').write_bytes(b'')
    (tmp_path / 'preview').mkdir()
    for name in ('a.jpg', 'b.png'):
        (tmp_path / 'preview' / name).write_bytes(b'')
    split = describe_data(str(tmp_path), 'semantic', '').splits['train']
    assert (split.images, split.names, split.count) == (str(tmp_path / 'images/training'), '', 4)


def test_classes_without_a_pixel_are_named(tmp_path):
    write_map_layout(tmp_path, 'ADE20K', values=(0, 2))
    (tmp_path / 'classes.txt').write_text('road\nsky\ntree\nhouse')
    assert 'No pixel was seen of sky, house.' in str(describe_data(str(tmp_path), 'semantic', ''))


def _broken(root):
    (root / 'annotations/training/0.png').write_bytes(b'no image')


def _too_many_values(root):
    (root / 'classes.txt').write_text('road\n')
    shutil.rmtree(root / 'annotations/training')
    write_pairs(root, 'images/training', 'annotations/training', '.jpg', values=(0, 1, 2))


def _name_twice(root):
    (root / 'classes.txt').write_text('road\nroad\n')


def _no_maps(root):
    shutil.rmtree(root / 'annotations')


def _no_train(root):
    for folder in ('images', 'annotations'):
        shutil.rmtree(root / folder / 'training')
        shutil.copytree(root / folder / 'validation', root / folder / 'test')


def _two_maps(root):
    shutil.copytree(root / 'annotations/training', root / 'masks/training')


def _write_values(root, values):
    for split in ('training', 'validation'):
        shutil.rmtree(root / 'annotations' / split)
        write_pairs(root, f'images/{split}', f'annotations/{split}', '.jpg', values=values)


def _gray(root):
    _write_values(root, (0, 38, 75))


def _one_name(root):
    (root / 'classes.txt').write_text('road, sky\n')


def _one_value(root):
    _write_values(root, (0,))


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (_broken, 'annotations/training/0.png: it cannot be read as a label map'),
        (_too_many_values, 'have values up to 2, and'),
        (_name_twice, 'must have a name in each line, and none twice'),
        (_no_maps, 'holds no folder of images and folder of label maps of the same names'),
        (_no_train, 'has no images for training, but 2 for test and 2 for val'),
        (_two_maps, 'it is not clear which are the label maps of train: '),
        (_gray, 'have the values 0, 38, 75, which do not count classes'),
        (_one_name, "has one class, 'road, sky', and a segmenter tells classes apart"),
        (_one_value, "has one class, 'class 0', and"),
    ],
    ids=lambda value: value.__name__.strip('_') if callable(value) else '',
)
def test_what_is_not_clear_is_one_sentence(spoil, sentence, tmp_path):
    write_map_layout(tmp_path, 'ADE20K')
    spoil(tmp_path)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe_data(str(tmp_path), 'semantic', str(tmp_path / 'work'))
    assert sentence in str(error.value)
