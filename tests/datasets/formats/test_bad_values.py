"""Bad pictures, numbers and shapes are one sentence in each format."""

import base64
import contextlib
import io

import numpy as np
import pytest
from helpers.data.changed_formats import COCO_FILES, change_json, described, edit, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convnext_dense.datasets.formats.label_maps.tables import find_table
from convnext_dense.datasets.formats.label_maps.values import read_map
from convnext_dense.datasets.formats.objects.masks import read_pixels
from convnext_dense.errors import UsageError


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
        (dict(shape_type='mask', mask=7), 'its mask cannot be read for .* pixels'),
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
    with pytest.raises(UsageError, match=r'^data: .*\.json: shape 1: its mask cannot be read for 1000000000 x'):
        described(root)


@pytest.mark.parametrize('number', [float('inf'), float('nan')])
def test_a_mask_that_cannot_be_drawn_is_not_lost(number, tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    polygon = [[number, 1, 9, 1, 9, 9]]
    change_json(root / COCO_FILES[0], lambda content: content['annotations'][0].update(segmentation=polygon))
    with pytest.raises(UsageError, match=r'^data: .* cannot be drawn: ValueError: a polygon has numbers'):
        described(root, 'semantic')
