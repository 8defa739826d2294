"""Annotations that were damaged at random: what is said is a sentence or a finding, in each format."""

import random
import shutil

import pytest
from helpers.data.changed_formats import write
from helpers.data.panoptic import write_panoptic
from helpers.mutations import mutate, mutate_text

from convnext_dense.apis.data.data_check import check_data
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError

TEXTS = ('.json', '.yaml', '.xml', '.txt', '.csv')
# The format, what is learned of it, and the ending of the files to damage.
CASES = [
    ('COCO', 'instances', '.json'),
    ('Roboflow, compressed RLE, ids from 0', 'instances', '.json'),
    ('COCO', 'semantic', '.json'),
    ('Roboflow, compressed RLE, ids from 0', 'semantic', '.json'),
    ('panoptic', 'panoptic', '.json'),
    ('YOLO', 'instances', '.yaml'),
    ('YOLO', 'boxes', '.txt'),
    ('Pascal VOC', 'instances', '.xml'),
    ('LabelMe', 'instances', '.json'),
    ('color maps, class_dict.csv', 'semantic', '.csv'),
    ('color maps, labelmap.txt', 'semantic', '.txt'),
    ('index maps, ADE20K folders', 'semantic', '.png'),
]


@pytest.mark.parametrize('tries', [2, pytest.param(300, marks=[pytest.mark.full, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize(('form', 'task', 'ending'), CASES)
def test_no_damage_ends_in_a_traceback(form, task, ending, tries, tmp_path, monkeypatch):
    root = tmp_path / 'set'
    write_panoptic(root) if form == 'panoptic' else write(root, form)
    files = sorted(
        path for path in root.rglob(f'*{ending}') if 'maps' not in form or ending != '.png' or '_' in str(path)
    )
    rng = random.Random(f'{form}{task}')
    monkeypatch.chdir(tmp_path)
    refused = 0
    for _ in range(tries):
        file = rng.choice(files)
        before = file.read_bytes()
        file.write_bytes((mutate if ending == '.png' else mutate_text)(before, rng))
        ways = [lambda: describe_data(str(root), task, str(tmp_path / 'runs/a'))]
        if task != 'panoptic':
            ways.append(lambda: check_data(str(root), task, workers=0))
        for way in ways:
            try:
                way()
            except UsageError as error:
                assert '\n' not in str(error)
                refused += 1
        file.write_bytes(before)
        for folder in ('runs', 'work_dirs'):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
    assert refused or tries < 100
