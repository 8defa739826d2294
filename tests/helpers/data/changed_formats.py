"""Changes datasets of the formats that people bring, so that something is wrong."""

import json

from convnext_dense.datasets.formats.describe import describe_data
from helpers.data.pictures import shapes
from helpers.data.written_formats import MAP_FORMATS, OBJECT_FORMATS

COCO_FILES = [f'annotations/instances_{split}2017.json' for split in ('train', 'val')]


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


def change_json(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
