"""Bad input to the readers of datasets is one sentence, whatever is bad, and nothing is lost without a word."""

import os

import pytest
from helpers.data.written_formats import MAP_FORMATS, OBJECT_FORMATS, shapes

from convnext_dense.datasets.formats.class_names import read_names
from convnext_dense.datasets.formats.describe import describe_data
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
