"""Bad input to the readers of datasets is one sentence, whatever is bad, and nothing is lost without a word."""

import base64
import contextlib
import io
import json
import os

import numpy as np
import pytest
from helpers.data.panoptic import write_panoptic
from helpers.data.written_formats import MAP_FORMATS, OBJECT_FORMATS, shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convnext_dense.datasets.formats.class_names import read_names
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.datasets.formats.label_maps.tables import find_table
from convnext_dense.datasets.formats.label_maps.values import read_map
from convnext_dense.datasets.formats.objects.masks import read_pixels
from convnext_dense.datasets.formats.places import folders
from convnext_dense.datasets.formats.yaml_files import read_yaml
from convnext_dense.errors import UsageError

YOLO_YAML = 'train: images/train\nval: images/val\n'


def described(place, task='boxes'):
    return describe_data(str(place), task, str(place.parent / 'runs/a'))


def write(root, name):
    pictures, names = shapes()
    {**OBJECT_FORMATS, **MAP_FORMATS}[name](root, pictures, names)
    return root


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_path_that_is_too_long_is_one_sentence(tmp_path):
    root = write(tmp_path / 'set', 'YOLO')
    edit(root / 'data.yaml', 'images/train', 'a' * 5000)
    with pytest.raises(UsageError, match=r'^data: .*cannot be read: File name too long') as caught:
        described(root)
    assert len(str(caught.value)) < 500


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    (tmp_path / 'labels').mkdir()

    def scandir(path, scandir=os.scandir):
        if str(path).endswith('labels'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr('os.scandir', scandir)
    with pytest.raises(UsageError, match=r'^data: .*labels cannot be read: Permission denied\.$'):
        list(folders(tmp_path))


def test_names_of_another_encoding_are_one_sentence(tmp_path):
    (tmp_path / 'classes.txt').write_bytes(b'K\xfche')
    with pytest.raises(UsageError, match=r"^data: .*classes\.txt cannot be read: 'utf-8' codec"):
        read_names(tmp_path / 'classes.txt')


def test_a_folder_among_the_files_of_masks_is_passed_over(tmp_path):
    from helpers.data.written_formats import write_mask_files

    pictures, names = shapes(classes=1)
    write_mask_files(tmp_path / 'set', pictures, names)
    before = described(tmp_path / 'set')
    next((tmp_path / 'set').rglob('masks')).joinpath('.ipynb_checkpoints').mkdir()
    assert described(tmp_path / 'set').splits['train'].objects == before.splits['train'].objects


@pytest.mark.parametrize(
    'value',
    ['!!int x', '!!int ""', '!!float x', '!!bool x', '!!timestamp x', '2001-99-99', '!!python/object:os.system [x]'],
)
def test_tags_that_cannot_be_constructed_are_one_sentence(value, tmp_path):
    (tmp_path / 'data.yaml').write_text(f'names: {value}')
    with pytest.raises(UsageError, match=r'^data: .*data\.yaml is no YAML: .*\.$'):
        read_yaml(tmp_path / 'data.yaml')


@pytest.mark.parametrize('key', ['names', 'nc', 'train', 'path'])
def test_aliases_of_aliases_are_not_written_out(key, tmp_path):
    aliases = 'a1: &a1 [x, x, x, x, x, x, x, x, x, x]\n'
    aliases += ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n' for i in range(2, 10))
    content = {'names': '[cat]', 'train': 'images', **{key: '*a9'}}
    (tmp_path / 'data.yaml').write_text(aliases + ''.join(f'{k}: {v}\n' for k, v in content.items()))
    with pytest.raises(UsageError, match=r'^data: ') as caught:
        described(tmp_path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize('names', ['{.inf: cat}', '{.nan: cat}', '{a: cat}', '[[cat]]', '[null]', '{}', '7'])
def test_names_of_yolo_that_are_none_are_one_sentence(names, tmp_path):
    (tmp_path / 'data.yaml').write_text(f'names: {names}\n{YOLO_YAML}')
    with pytest.raises(UsageError, match=r'^data: .*data\.yaml: .*names must'):
        described(tmp_path)


def change_json(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


COCO_FILES = [f'annotations/instances_{split}2017.json' for split in ('train', 'val')]


@pytest.mark.parametrize('files', [1, 2])
@pytest.mark.parametrize('task', ['boxes', 'semantic'])
@pytest.mark.parametrize(
    ('entries', 'field'), [('images', 'id'), ('annotations', 'image_id'), ('annotations', 'category_id')]
)
def test_ids_that_are_lists_or_objects_are_one_sentence(entries, field, task, files, tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    change_json(root / COCO_FILES[0], lambda content: content[entries][0].update({field: [1]}))
    if files == 1:
        (root / COCO_FILES[1]).unlink()
    with pytest.raises(UsageError, match=rf'^data: .*2017\.json: an .* has the {field} \[1\]; it must be a number'):
        described(root, task)


@pytest.mark.parametrize('name', ['/etc/hostname', '../../outside.png', 'a/../../../outside.png'])
def test_a_file_name_that_leads_out_of_the_dataset_is_one_sentence(name, tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    (tmp_path / 'outside.png').touch()
    change_json(root / COCO_FILES[0], lambda content: content['images'][0].update(file_name=name))
    with pytest.raises(UsageError, match=rf'^data: .*: the file_name {name} leads out of .*set\.$'):
        described(root)


@pytest.mark.parametrize('name', ['../train2017/street 0.png', '..street.png'])
def test_a_file_name_may_have_dots_within_the_dataset(name, tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    change_json(root / COCO_FILES[0], lambda content: content['images'][0].update(file_name=name))
    assert described(root).splits['train'].image_count == 3


def test_an_annotation_of_no_image_is_not_lost_where_a_split_is_drawn(tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    (root / COCO_FILES[1]).unlink()
    change_json(root / COCO_FILES[0], lambda content: content['annotations'][0].update(image_id=99))
    assert sum(sum(split.objects.values()) for split in described(root).splits.values()) == 18


@pytest.mark.parametrize('box', [None, [1, 2, 3], ['a', 1, 2, 3], {}, 'gone'])
def test_a_box_that_is_to_be_a_mask_must_be_one(box, tmp_path):
    def change(content):
        content['annotations'][0].update(bbox=box, segmentation=[])
        if box == 'gone':
            del content['annotations'][0]['bbox']

    root = write(tmp_path / 'set', 'COCO')
    change_json(root / COCO_FILES[0], change)
    with pytest.raises(UsageError, match=r'^data: .*2017\.json: annotation 1 has the bbox .*; it must be x, y'):
        describe_data(str(root), 'instances', str(tmp_path / 'runs/a'), boxes_to_masks=True)


@pytest.mark.parametrize('value', [None, 5, {}, 'ab'])
def test_segments_that_are_no_list_are_one_sentence(value, tmp_path):
    write_panoptic(tmp_path)
    file = tmp_path / 'annotations/panoptic_train2017.json'
    change_json(file, lambda content: content['annotations'][0].update(segments_info=value))
    with pytest.raises(UsageError, match=r'^data: .*\.json: segments_info must be a list'):
        described(tmp_path, 'panoptic')


def test_a_number_of_thousands_of_digits_is_one_sentence(tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    edit(root / COCO_FILES[0], '"iscrowd": 0', f'"iscrowd": {"9" * 5000}')
    with pytest.raises(UsageError, match=r'^data: .*\.json: is no JSON: Exceeds the limit'):
        described(root)


def test_more_classes_than_a_label_map_has_values_are_one_sentence(tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    for file in COCO_FILES:
        more = [dict(id=100 + i, name=f'class {i}') for i in range(252)]
        change_json(root / file, lambda content, more=more: content['categories'].extend(more))
    with pytest.raises(UsageError, match=r'^data: .* has 255 classes; label maps can have 254'):
        described(root, 'semantic')


@pytest.mark.parametrize(
    ('file', 'text', 'said'),
    [
        ('class_dict.csv', 'name,r,g,b\na,300,0,0', 'a color is from 0 to 255; got 300'),
        ('class_dict.csv', f'name,r,g,b\na,{10**30},0,0', 'a color is from 0 to 255; got 1000'),
        ('class_dict.csv', f'name,r,g,b\na,{"9" * 5000},0,0', 'whole numbers'),
        ('class_dict.csv', 'name,r,g,b\na,-1,0,0', 'a color is from 0 to 255; got -1'),
        ('_classes.csv', 'Pixel Value, Class\n-1, a', 'a value is from 0 to 65535; got -1'),
        ('classes.csv', f'name,r,g,b\n{"a" * 200000},1,1,1', 'is no table: field larger than field limit'),
        ('labelmap.txt', f'a:{"9" * 5000},0,0::', 'a line has a name and a color'),
        ('label_colors.txt', f'{"9" * 5000} 0 0 a', 'a line has a name and a color'),
    ],
)
def test_numbers_in_tables_are_colors_or_values(file, text, said, tmp_path):
    (tmp_path / file).write_text(text)
    with pytest.raises(UsageError, match=rf'^data: .*{file}.*{said}'):
        find_table(tmp_path)


def test_more_classes_in_a_table_than_a_label_map_has_values_are_one_sentence(tmp_path):
    root = write(tmp_path / 'set', 'color maps, class_dict.csv')
    rows = ''.join(f'class {i},{i % 256},{i // 256 + 1},0\n' for i in range(300))
    edit(root / 'class_dict.csv', 'bird', f'{rows}bird')
    with pytest.raises(UsageError, match=r'^data: there are 304 classes; label maps of 8 bits can have 255\.$'):
        described(root, 'semantic')


# PNG, whose chunks are broken in ways that Pillow raises other errors than OSError for.
BROKEN_PNG = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\0\0\0\0' + bytes(4)


@pytest.mark.parametrize('raw', [b'', b'\x89PNG\r\n\x1a\n', BROKEN_PNG, bytes(100), b'II*\0\xff\xff\xff\xff'])
def test_a_picture_that_cannot_be_read_is_a_value_error(raw, tmp_path):
    (tmp_path / 'a.png').write_bytes(raw)
    for read in (read_pixels, lambda path: read_map(path, by_color=True)):
        with pytest.raises(ValueError, match=r'^it cannot be read'):
            read(tmp_path / 'a.png')


@pytest.mark.filterwarnings('ignore')
@settings(max_examples=20)
@given(st.data())
def test_a_changed_picture_is_read_or_is_a_value_error(data):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(stream, data.draw(st.sampled_from(['PNG', 'TIFF', 'GIF', 'BMP'])))
    raw = bytearray(stream.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        read_pixels(io.BytesIO(bytes(raw)))


@pytest.mark.parametrize(
    ('old', 'new', 'said'),
    [
        ('<annotation>', '<?xml version="1.0" encoding="nope"?><annotation>', 'it is no XML: unknown encoding'),
        ('<xmax>', '<xmax>1e999', 'needs numbers'),
        ('<xmin>', '<xmin>-inf</xmin><xmin>', 'must be larger'),
        (
            '</bndbox>',
            '</bndbox><polygon><x1>1</x1><y1>inf</y1><x2>2</x2><y2>2</y2><x3>1</x3><y3>3</y3></polygon>',
            'inf',
        ),
    ],
)
def test_xml_that_cannot_be_right_is_one_sentence(old, new, said, tmp_path):
    root = write(tmp_path / 'set', 'Pascal VOC')
    file = min((root / 'Annotations').iterdir())
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(UsageError, match=rf'^data: .*\.xml: .*{said}'):
        described(root)


@pytest.mark.parametrize(
    ('shape', 'said'),
    [
        (dict(shape_type='rotation'), "its shape_type must be polygon, .*; got 'rotation'"),
        (dict(shape_type='Polygon'), 'its shape_type must be'),
        (dict(shape_type=7), 'its shape_type must be'),
        (dict(shape_type=['polygon']), 'its shape_type must be'),
        (dict(shape_type='circle', points=[[1e308, 0], [-1e308, 0]]), 'its circle is infinitely large'),
        (dict(shape_type='mask', mask=7), 'its mask, for .* is wrong'),
        (dict(points=None), 'its points must be pairs'),
        (dict(label=['cat']), 'its label must be a name'),
    ],
)
def test_a_shape_that_cannot_be_right_is_one_sentence(shape, said, tmp_path):
    root = write(tmp_path / 'set', 'LabelMe')
    change_json(min(root.glob('train/*.json')), lambda content: content['shapes'][0].update(shape))
    with pytest.raises(UsageError, match=rf'^data: .*\.json: shape 1: {said}'):
        described(root)


def test_a_mask_for_an_image_of_any_size_is_one_sentence(tmp_path):
    root = write(tmp_path / 'set', 'LabelMe')
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(stream, 'PNG')
    shape = dict(shape_type='mask', points=[[1, 1], [4, 4]], mask=base64.b64encode(stream.getvalue()).decode())

    def change(content):
        content.update(imageWidth=10**9, imageHeight=10**9)
        content['shapes'][0].update(shape)

    change_json(min(root.glob('train/*.json')), change)
    with pytest.raises(UsageError, match=r'^data: .*\.json: shape 1: its mask, for 1000000000 x 1000000000 pixels, is'):
        described(root)
