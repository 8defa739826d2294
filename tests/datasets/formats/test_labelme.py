"""LabelMe's datasets are read with each shape that is an outline."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.data.pictures import shapes
from helpers.data.written_formats import write_labelme
from PIL import Image
from pycocotools import mask as coco_mask

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError


@pytest.fixture
def place(tmp_path):
    pictures, names = shapes()
    write_labelme(tmp_path / 'set', pictures, names)
    return tmp_path / 'set'


def describe(place, task='instances'):
    return describe_data(str(place), task, str(place.parent / 'runs/a'))


def put(place, *added, **fields):
    path = place / 'train' / 'street 0.json'
    content = json.loads(path.read_text())
    content['shapes'] = [*added]
    path.write_text(json.dumps(content | fields))


def objects(place):
    content = json.loads(Path(describe(place, 'boxes').splits['train'].annotations).read_text())
    image = next(image['id'] for image in content['images'] if image['file_name'] == 'train/street 0.png')
    return [entry for entry in content['annotations'] if entry['image_id'] == image]


def shape(kind, points, label='cat', **fields):
    return dict(label=label, shape_type=kind, points=points, **fields)


def test_a_rectangle_is_a_box_without_a_mask(place):
    put(place, shape('rectangle', [[30, 20], [10, 5]]))
    (found,) = objects(place)
    assert found['bbox'] == [10, 5, 20, 15]
    assert 'segmentation' not in found


def test_a_circle_is_its_outline(place):
    put(place, shape('circle', [[40, 30], [40, 40]]))
    (found,) = objects(place)
    assert found['bbox'] == [30, 20, 20, 20]
    assert found['area'] == pytest.approx(np.pi * 100, rel=0.01)


def test_a_mask_is_placed_at_its_corner(place):
    part = np.zeros((4, 6), np.uint8)
    part[1:3, 2:5] = 255
    file = io.BytesIO()
    Image.fromarray(part).save(file, 'png')
    text = base64.b64encode(file.getvalue()).decode()
    put(place, shape('mask', [[10, 20], [15, 23]], mask=text))
    (found,) = objects(place)
    mask = coco_mask.decode(found['segmentation'])
    assert np.argwhere(mask).min(0).tolist() == [21, 12]
    assert mask.sum() == 6


def test_shapes_of_a_group_are_one_object(place):
    put(
        place,
        shape('polygon', [[0, 0], [5, 0], [5, 5]], group_id=1),
        shape('polygon', [[20, 20], [25, 20], [25, 25]], group_id=1),
        shape('polygon', [[20, 20], [25, 20], [25, 25]], label='bird', group_id=1),
    )
    found = objects(place)
    assert [entry['bbox'] for entry in found] == [[0, 0, 25, 25], [20, 20, 5, 5]]
    assert len(found[0]['segmentation']) == 2


def test_lines_points_and_the_background_are_no_objects(place):
    put(place, shape('line', [[0, 0], [5, 5]]), shape('point', [[1, 1]]), shape('polygon', [[0, 0]], '_background_'))
    assert objects(place) == []


def test_labels_txt_has_the_order_of_the_classes(place):
    (place / 'labels.txt').write_text('__ignore__\n_background_\ndog & co\nbird\ncat\n')
    assert describe(place).classes == ('dog & co', 'bird', 'cat')


@pytest.mark.parametrize(
    ('added', 'fields', 'sentence'),
    [
        (shape('polygon', [[0, 0], [1, 1]]), {}, 'shape 1: a polygon needs 3 points, and has 2'),
        (shape('polygon', [[0, 0], [1, 1], [2]]), {}, 'shape 1: its points must be pairs of numbers'),
        (shape('polygon', None), {}, 'shape 1: its points must be pairs of numbers'),
        (shape('polygon', [[0, 0], [1, 0], [1, 1]], label=3), {}, 'shape 1: its label must be a name; got 3'),
        (shape('mask', [[0, 0], [1, 1]], mask='x'), {}, 'shape 1: its mask cannot be read'),
        ('circle', {}, 'shape 1: it must be an object with a label and points'),
        (shape('rectangle', [[0, 0], [1, 1]]), dict(imageWidth=None), 'imageWidth and imageHeight must be the size'),
    ],
)
def test_what_cannot_be_read_is_one_sentence(added, fields, sentence, place):
    put(place, added, **fields)
    with pytest.raises(UsageError, match=r'^data: .*street 0.json: ') as error:
        describe(place)
    assert sentence in str(error.value)
