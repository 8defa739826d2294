"""Datasets in other formats than COCO's are checked, and mended, by their own files."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run_command
from helpers.data.pictures import shapes
from helpers.data.written_formats import binary, write_maps, write_yolo
from PIL import Image

NAMES = ['cat', 'dog & co', 'bird']


@pytest.fixture
def yolo(tmp_path):
    pictures, names = shapes()
    yaml = f'train: images/train\nval: images/val\nnames: {json.dumps(NAMES)}\n'
    write_yolo(tmp_path / 'set', pictures, names, yaml, {'train': 'images/train', 'val': 'images/val'})
    return tmp_path / 'set'


@pytest.fixture
def maps(tmp_path):
    pictures, names = shapes(classes=1)
    write_maps(tmp_path / 'set', pictures, names, 'images/{}', 'masks/{}', binary)
    return tmp_path / 'set'


def check(root, *options):
    return run_command(root.parent, 'check', '--data', 'set', *options)


def test_what_was_chosen_is_said(yolo, tmp_path):
    found = check(yolo, '--task', 'instances', '--html', 'page.html')
    assert found.status == 0, found.out
    assert 'It was converted to COCO files' in found.out
    assert 'It was converted to COCO files' in (tmp_path / 'page.html').read_text()


def test_a_line_that_cannot_be_read_is_an_error_and_left_out_of_a_copy(yolo, tmp_path):
    path = yolo / 'labels/train/street 0.txt'
    path.write_text(path.read_text() + '3 0.5 0.5 0.1 0.1\n')
    found = check(yolo, '--task', 'instances', '--fix', 'out')
    said = 'street 0.txt: line 7: there is no class 3'
    assert f'conversion, 1: entries that cannot be read\n    set/labels/train/{said}' in found.out
    assert said in (tmp_path / 'out/changes.txt').read_text()
    assert check(yolo, '--task', 'instances').status == 1
    assert run_command(tmp_path, 'check', '--data', 'out', '--task', 'instances').status == 0


def test_an_object_is_named_by_the_file_that_it_is_in(yolo):
    path = yolo / 'labels/val/street 1.txt'
    path.write_text(path.read_text() + '0 0.5 0.5 0 0\n')
    found = check(yolo, '--task', 'boxes')
    assert 'in val/street 1.png, 96x64 px, set/labels/val/street 1.txt' in found.out


def test_a_label_map_without_an_image_is_said(maps):
    (maps / 'images/train/street 0.png').unlink()
    found = check(maps, '--task', 'semantic')
    assert 'Label maps of set/masks/train without an image in set/images/train are left out: 1.' in found.out


def test_a_label_map_of_another_size_is_named_as_it_is(maps):
    Image.fromarray(np.full((30, 30), 255, np.uint8)).save(maps / 'masks/train/street 1.png')
    found = check(maps, '--task', 'semantic')
    assert found.status == 1
    assert 'set/masks/train/street 1.png: it has 30 x 30 pixels, and its image 96 x 64.' in found.out


def test_label_maps_are_no_objects(maps):
    found = check(maps, '--task', 'boxes')
    assert found.status == 2
    assert 'has label maps, such as in set/masks/train, and no objects; take a segmenter' in found.err


def test_nothing_is_written_where_nothing_can_be(yolo, monkeypatch):
    monkeypatch.setattr('os.access', lambda *_: False)
    assert check(yolo, '--task', 'boxes').status == 0
    assert not Path(yolo.parent, 'work_dirs').exists()
