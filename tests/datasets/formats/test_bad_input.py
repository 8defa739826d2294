"""Bad files, paths and names are one sentence in each format, and nothing is lost without a word."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.data.changed_formats import COCO_FILES, change_json, described, edit, write
from helpers.data.map_folders import write_pairs
from helpers.data.panoptic import write_panoptic
from helpers.data.pictures import shapes
from helpers.data.written_formats import write_mask_files
from PIL import Image

from convnext_dense.datasets.formats.class_names import read_names
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.datasets.formats.places import folders
from convnext_dense.datasets.formats.whole_files import write_whole
from convnext_dense.datasets.formats.yaml_files import read_yaml
from convnext_dense.errors import UsageError

YOLO_YAML = 'train: images/train\nval: images/val\n'


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


@pytest.mark.parametrize(
    'names', ['{.inf: cat}', '{.nan: cat}', '{a: cat}', '[[cat]]', '[null]', '{}', '7', '[yes, no]']
)
def test_names_of_yolo_that_are_none_are_one_sentence(names, tmp_path):
    (tmp_path / 'data.yaml').write_text(f'names: {names}\n{YOLO_YAML}')
    with pytest.raises(UsageError, match=r'^data: .*data\.yaml: .*names must'):
        described(tmp_path)


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


@pytest.mark.parametrize('name', ['a\nb', 'a\rb', 'a\u2028b', b'\xff'.decode('utf-8', 'surrogateescape')])
@pytest.mark.parametrize('form', ['YOLO', 'color maps, class_dict.csv'])
def test_an_image_that_no_list_can_name_is_one_sentence(form, name, tmp_path):
    root = write(tmp_path / 'set', form)
    for file in [*root.rglob('street 0*')]:
        file.rename(file.with_name(file.name.replace('street 0', name)))
    with pytest.raises(UsageError, match=r'^data: the image .* cannot be in a list of label maps; its name must'):
        described(root, 'semantic')


@pytest.mark.parametrize('name', ['{}/train2017/street 0.png', '../train2017/street 0.png'])
def test_no_label_map_is_written_outside_of_its_folder(name, tmp_path):
    root = write(tmp_path / 'set', 'COCO')
    change_json(root / COCO_FILES[0], lambda content: content['images'][0].update(file_name=name.format(root)))
    before = sorted(root.rglob('*'))
    with pytest.raises(UsageError, match=r'^data: the image .* is outside of its folder, and has no label map\.$'):
        described(root, 'semantic')
    assert sorted(root.rglob('*')) == before


@pytest.mark.parametrize(
    ('form', 'task'), [('YOLO', 'boxes'), ('YOLO', 'semantic'), ('maps with a palette', 'semantic')]
)
@pytest.mark.parametrize('ending', ['json', 'txt'])
def test_what_was_deleted_of_converted_data_is_written_again(form, task, ending, tmp_path):
    root = write(tmp_path / 'set', form)
    first = str(described(root, task))
    for file in (tmp_path / 'runs').rglob(f'*.{ending}'):
        file.unlink()
    assert str(described(root, task)) == first


@pytest.mark.parametrize('ending', ['txt', 'json'])
def test_files_of_one_name_are_those_of_the_images_in_folders_of_the_same_names(ending, tmp_path):
    for folder, label in dict(a=0, b=1).items():
        for part in ('images', 'labels'):
            (tmp_path / 'set' / part / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f'set/images/{folder}/1.png')
        shape = dict(label=['cat', 'dog'][label], points=[[1, 1], [5, 1], [5, 5]])
        labelme = json.dumps(dict(imageWidth=8, imageHeight=8, imagePath='1.png', shapes=[shape]))
        text = f'{label} 0.5 0.5 0.2 0.2' if ending == 'txt' else labelme
        (tmp_path / f'set/labels/{folder}/1.{ending}').write_text(text)
    split = '{images: images, annotations: labels}'
    (tmp_path / 'set/my.yaml').write_text(f'classes: [cat, dog]\ntrain: {split}\nval: {split}\n')
    data = described(tmp_path / 'set/my.yaml')
    assert data.splits['train'].objects == dict(cat=1, dog=1)
    (tmp_path / 'set/labels/c').mkdir()
    (tmp_path / 'set/labels/b/1.png').touch()
    (tmp_path / f'set/labels/b/1.{ending}').rename(tmp_path / f'set/labels/c/1.{ending}')
    (tmp_path / f'set/labels/a/1.{ending}').rename(tmp_path / f'set/labels/b/2.{ending}')
    (tmp_path / 'set/labels/d').mkdir()
    (tmp_path / f'set/labels/d/1.{ending}').write_text(text)
    with pytest.raises(UsageError, match=r'^data: .* have the name of the image .*, and one can be its own\.$'):
        described(tmp_path / 'set/my.yaml')


@pytest.mark.parametrize('entries', ['images', 'annotations'])
def test_a_panoptic_file_name_that_leads_out_of_the_dataset_is_one_sentence(entries, tmp_path):
    write_panoptic(tmp_path / 'set')
    file = tmp_path / 'set/annotations/panoptic_train2017.json'
    change_json(file, lambda content: content[entries][0].update(file_name='/etc/hostname'))
    with pytest.raises(UsageError, match=r'^data: .*: the file_name /etc/hostname leads out of'):
        described(tmp_path / 'set', 'panoptic')


@pytest.mark.parametrize(('form', 'task'), [('YOLO of Roboflow', 'boxes'), ('index maps, ADE20K folders', 'semantic')])
def test_images_of_a_split_that_is_none_are_left_out_with_a_word(form, task, tmp_path):
    root = write(tmp_path / 'set', form)
    (root / 'data.yaml').unlink(missing_ok=True)
    (root / 'classes.txt').write_text('bird\ncat\ndog\n' if task == 'boxes' else 'none\nbird\ncat\ndog\n')
    for folder in [*root.rglob('val*')]:
        folder.rename(folder.with_name('Prüfung'))
    data = described(root, task)
    assert list(data.splits) == ['train', 'val']
    assert any(said.startswith('left out: 2 images, since no name says of which split') for said in data.remarks)


def test_an_image_with_several_files_of_annotations_is_taken_once(tmp_path):
    root = write(tmp_path / 'set', 'LabelMe')
    (root / 'old').mkdir()
    for file in root.glob('train/*.json'):
        (root / 'old' / file.name).write_bytes(file.read_bytes())
    data = described(root)
    assert data.splits['train'].image_count == 3
    assert any(
        said.startswith('left out: 3 files of annotations of an image that has another') for said in data.remarks
    )


def test_a_disk_that_is_full_is_one_sentence_and_keeps_nothing_half_written(tmp_path, monkeypatch):
    def write_bytes(path, raw):
        path.touch()
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pathlib.Path.write_bytes', write_bytes)
    with pytest.raises(UsageError, match=r'^work_dir: .*a\.json cannot be written: No space left on device\.$'):
        write_whole(tmp_path / 'a.json', 'text')
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize('has_yaml', [True, False])
def test_labels_of_no_image_are_left_out_with_a_word(has_yaml, tmp_path):
    root = write(tmp_path / 'set', 'YOLO')
    (root / 'labels/train/street 0.txt').rename(root / 'labels/train/Street 0.txt')
    if not has_yaml:
        (root / 'data.yaml').unlink()
        (root / 'classes.txt').write_text('bird\ncat\ndog\n')
    said = f'left out: 1 file of labels without an image in a split, such as {root / "labels/train/Street 0.txt"}.'
    assert said in described(root).remarks


@pytest.mark.parametrize('prefix', ['', 'images/', '/data/set/images/'])
def test_a_list_names_images_of_one_name_by_their_folders(prefix, tmp_path):
    root = tmp_path / 'set'
    for folder in ('a', 'b', 'c'):
        write_pairs(root, f'images/{folder}', f'masks/{folder}', count=1)
    (root / 'train.txt').write_text(f'{prefix}a/0.png\n{prefix}b/0\n')
    (root / 'val.txt').write_text(f'{prefix}c/0.png\n')
    data = described(root, 'semantic')
    names = {name: Path(split.names).read_text().split() for name, split in data.splits.items()}
    assert names == dict(train=['a/0', 'b/0'], val=['c/0'])
    (root / 'val.txt').write_text('0.png\n')
    with pytest.raises(UsageError, match=r'^data: .*val\.txt names 0\.png, which can be a/0\.png or b/0\.png of'):
        described(root, 'semantic')
