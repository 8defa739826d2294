"""The classes of label maps are read from tables of names, colors and values."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.data.map_folders import write_map_layout, write_pairs
from helpers.data.pictures import shapes
from helpers.data.written_formats import COLORS, colored, with_palette, write_maps
from PIL import Image

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError

NAMES = ('background', 'cat', 'dog & co', 'bird')
ROWS = list(zip(NAMES, COLORS, strict=True))
TABLES = {
    'class_dict.csv': 'name, r, g, b\n' + ''.join(f'{n}, {r}, {g}, {b}\n' for n, (r, g, b) in ROWS),
    'classes.csv': 'Red,Green,Blue,Class\n' + ''.join(f'{r},{g},{b},{n}\n' for n, (r, g, b) in ROWS),
    'labelmap.txt': '# label:color_rgb:parts:actions\n' + ''.join(f'{n}:{r},{g},{b}::\n' for n, (r, g, b) in ROWS),
    'label_colors.txt': ''.join(f'{r} {g} {b}\t\t{n}\n' for n, (r, g, b) in ROWS),
}


def write_colored(root, draw=colored, **options):
    pictures, names = shapes()
    write_maps(root / 'set', pictures, names, 'images/{}', 'masks/{}', draw, **options)
    return root / 'set'


def describe(place):
    return describe_data(str(place), 'semantic', str(Path(place).parent / 'runs/a'))


def labels_of(data, split='train'):
    found = data.splits[split]
    return [np.asarray(Image.open(path)) for path in sorted(Path(found.maps).rglob('*.png'))]


@pytest.mark.parametrize('draw', [colored, with_palette], ids=['RGB', 'palette'])
@pytest.mark.parametrize('file', TABLES)
def test_colors_are_those_of_a_table(file, draw, tmp_path):
    place = write_colored(tmp_path, draw)
    (place / file).write_text(TABLES[file])
    data = describe(place)
    pictures, _ = shapes()
    assert data.classes == NAMES
    assert all((a == b.label_map()).all() for a, b in zip(labels_of(data), pictures['train'], strict=True))


def test_an_alpha_channel_is_passed_over(tmp_path):
    place = write_colored(tmp_path, lambda labels: colored(labels).convert('RGBA'))
    (place / 'class_dict.csv').write_text(TABLES['class_dict.csv'])
    assert set(np.unique(labels_of(describe(place))[0])) == {0, 1, 2, 3}


def test_a_class_of_the_name_void_is_ignored(tmp_path):
    place = write_colored(tmp_path)
    (place / 'class_dict.csv').write_text(TABLES['class_dict.csv'].replace('cat', 'Void'))
    data = describe(place)
    assert data.classes == ('background', 'dog & co', 'bird')
    assert set(np.unique(labels_of(data)[0])) == {0, 1, 2, 255}
    assert 'Void is ignored.' in str(data)


def test_values_are_those_of_a_table(tmp_path):
    write_map_layout(tmp_path / 'set', 'ADE20K', values=(0, 38, 75, 255))
    (tmp_path / 'set/_classes.csv').write_text('Pixel Value, Class\n0, road\n38, sky\n75, tree\n')
    data = describe(tmp_path / 'set')
    assert data.classes == ('road', 'sky', 'tree')
    assert set(np.unique(labels_of(data)[0])) == {0, 1, 2, 255}


def test_gray_maps_of_three_channels_have_values(tmp_path):
    place = write_colored(tmp_path, lambda labels: Image.fromarray(np.dstack([labels] * 3)))
    (place / 'classes.txt').write_text('\n'.join(NAMES))
    pictures, _ = shapes()
    assert all((a == b.label_map()).all() for a, b in zip(labels_of(describe(place)), pictures['train'], strict=True))


@pytest.mark.parametrize('mode', ['1', 'L'])
def test_black_and_white_are_two_classes(mode, tmp_path):
    place = write_colored(tmp_path, lambda labels: Image.fromarray((labels > 0).astype(np.uint8) * 255).convert(mode))
    data = describe(place)
    assert data.classes == ('background', 'foreground')
    assert "0 is 'background', and 255 is 'foreground'" in str(data)
    assert set(np.unique(labels_of(data)[0])) == {0, 1}
    (place / 'classes.txt').write_text('cat\n')
    assert describe(place).classes == ('background', 'cat')


def test_cityscapes_ids_become_classes(tmp_path):
    for split in ('train', 'val'):
        folders = (f'set/leftImg8bit/{split}/aachen', f'set/gtFine/{split}/aachen')
        write_pairs(tmp_path, *folders, '_leftImg8bit.png', '_gtFine_labelIds.png', values=(0, 7, 8, 33))
    data = describe(tmp_path / 'set')
    assert (len(data.classes), data.classes[0], data.classes[18]) == (19, 'road', 'bicycle')
    assert set(np.unique(labels_of(data)[0])) == {0, 1, 18, 255}


def test_vocs_own_classes_have_their_names(tmp_path):
    root = tmp_path / 'VOC2012'
    write_pairs(root, 'JPEGImages', 'SegmentationClass', '.jpg', '.png', 4, values=(0, 3, 20, 255))
    shutil.copytree(root / 'SegmentationClass', root / 'SegmentationObject')
    for name, stems in (('train', '0\n1\n'), ('val', '2\n3\n'), ('trainval', '0\n1\n2\n3\n')):
        (root / 'ImageSets/Segmentation').mkdir(parents=True, exist_ok=True)
        (root / 'ImageSets/Segmentation' / f'{name}.txt').write_text(stems)
    data = describe(root)
    assert (len(data.classes), data.classes[3]) == (21, 'bird')
    assert {name: split.count for name, split in data.splits.items()} == dict(train=2, val=2)
    assert all(split.maps.endswith('SegmentationClass') for split in data.splits.values())


def test_lists_of_pairs_say_what_belongs_together(tmp_path):
    root = tmp_path / 'set'
    write_pairs(root, 'x', 'y', '.jpg', '.png', 5)
    (root / 'train.txt').write_text(''.join(f'x/{i}.jpg y/{i}.png\n' for i in range(3)))
    (root / 'val.txt').write_text(''.join(f'/x/{i}.jpg,/y/{i}.png\n' for i in range(3, 5)))
    data = describe(root)
    assert {name: split.count for name, split in data.splits.items()} == dict(train=3, val=2)


def test_images_of_several_endings_are_read(tmp_path):
    write_map_layout(tmp_path / 'set', 'ADE20K')
    path = tmp_path / 'set/images/training/0.jpg'
    Image.open(path).save(path.with_name('0.PNG'), 'png')
    path.unlink()
    split = describe(tmp_path / 'set').splits['train']
    names = Path(split.names).read_text().split()
    assert sorted(names) == ['0.PNG', '1.jpg', '2.jpg', '3.jpg']
    assert all((Path(split.images, name).is_file() and Path(split.maps, f'{name}.png').is_file()) for name in names)


def test_images_and_maps_in_one_folder_are_told_apart(tmp_path):
    for split, count in (('train', 3), ('valid', 2)):
        write_pairs(tmp_path / 'set', split, split, '.jpg', '_mask.png', count)
    data = describe(tmp_path / 'set')
    assert {name: split.count for name, split in data.splits.items()} == dict(train=3, val=2)


def test_names_that_differ_in_words_belong_together(tmp_path):
    for split, count in (('train', 3), ('val', 2)):
        write_pairs(tmp_path / 'set', f'{split}/images', f'{split}/masks', '.jpg', '.png', count)
        for folder, word in (('images', 'img'), ('masks', 'mask')):
            for path in sorted((tmp_path / 'set' / split / folder).iterdir()):
                path.rename(path.with_name(f'{word}_{path.name}'))
    data = describe(tmp_path / 'set')
    assert {name: split.count for name, split in data.splits.items()} == dict(train=3, val=2)


def _no_table(root):
    (root / 'class_dict.csv').unlink()


def _other_color(root):
    path = root / 'class_dict.csv'
    path.write_text(path.read_text().replace('220', '221'))


def _color_beyond_the_sample(root):
    path = sorted((root / 'masks/val').iterdir())[-1]
    Image.fromarray(np.full((64, 96, 3), (1, 2, 3), np.uint8)).save(path)


def _photo(root):
    shutil.copytree(root / 'images', root / 'masks', dirs_exist_ok=True)


def _table(text):
    return lambda root: (root / 'class_dict.csv').write_text(text)


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (_no_table, 'have 4 colors, such as (0, 0, 0), (20, 180, 90)'),
        (_other_color, 'has the color (220, 20, 60), which'),
        (_color_beyond_the_sample, 'street 1.png: the color (1, 2, 3) is that of no class.'),
        (_photo, 'colors; it seems to be a photo, and no label map'),
        (_table('a,b\n1,2\n'), 'class_dict.csv must have the columns name, r, g and b; got a, b'),
        (_table('name,r,g,b\ncat,1,2\n'), 'class_dict.csv: each line needs as many cells as the first'),
        (_table('name,r,g,b\ncat,1,2,3\ndog,1,2,3\n'), 'has the color (1, 2, 3) twice'),
        (_table('name,r,g,b\ncat,1,2,3\ncat,1,2,4\n'), 'has the name cat twice'),
        (_table(''), 'must have the columns name'),
    ],
)
def test_what_is_not_clear_is_one_sentence(spoil, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr('convnext_dense.datasets.formats.label_maps.classes.SAMPLE', 2)
    place = write_colored(tmp_path)
    (place / 'class_dict.csv').write_text(TABLES['class_dict.csv'])
    spoil(place)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        describe(place)
    assert sentence in str(error.value)
