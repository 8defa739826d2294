"""`convnext-dense check`: its report as text, JSON and a page, and its exit code."""

import base64
import io
import json
import re

import cv2
import numpy as np
import pytest
from helpers.commands import run_command
from helpers.data.changed_formats import COCO_FILES, change_json, write
from helpers.data.clean_data import CleanLabels, CleanObjects, texture
from helpers.demo_runs import DETECTOR, SEGMENTER

from convnext_dense.cli.main import main


@pytest.fixture
def data(tmp_path):
    return CleanObjects(tmp_path / 'data')


class TestExitCode:
    def test_is_0_without_faults(self, data, tmp_path):
        result = run_command(tmp_path, 'check', '--data', 'data', '--task', 'instances')
        assert (result.status, result.err) == (0, '')
        assert result.out.splitlines()[-1] == 'Nothing wrong was found.'
        assert '  train: 4 images; 12 objects; cat 4, dog 4, cow 4; RGB 8 bits 4; 80x60 4' in result.out

    def test_is_0_with_warnings(self, data, tmp_path):
        data.contents['train']['annotations'][4]['bbox'] = [900, 1, 5, 5]
        data.write()
        result = run_command(tmp_path, 'check', '--data', 'data', '--task', 'instances')
        assert result.status == 0
        assert 'warning: box-outside, 1: ' in result.out
        assert 'train: data/annotations/instances_train.json, annotation 5: bbox [900, 1, 5, 5]' in result.out
        assert result.out.splitlines()[-1] == 'Found 1 warning.'

    def test_is_1_with_an_error(self, data, tmp_path):
        data.image('val', 1).write_bytes(b'')
        result = run_command(tmp_path, 'check', '--data', 'data', '--task', 'boxes')
        assert result.status == 1
        assert 'val: data/val/val1.png, image 11: the file is empty' in result.out

    @pytest.mark.parametrize(
        ('arguments', 'error'),
        [
            ([], 'error: --data: name the dataset'),
            (['--data', 'data'], 'error: --task: say what the data is for: boxes, instances or semantic.'),
            (['--data', 'nothing', '--task', 'boxes'], 'error: --data: there is no nothing.'),
            (['--data', 'data', '--task', 'boxes', '--html', 'no/a.html'], 'error: --html: there is no folder no.'),
            (['--data', 'data', '--task', 'boxes', '--fix', 'data'], 'error: --fix: data is there already'),
            (['--data', 'data', '--task', 'boxes', '--fix', 'a', '--no-images'], 'error: --fix: it leaves out'),
        ],
    )
    def test_is_2_with_a_mistake(self, data, tmp_path, arguments, error):
        result = run_command(tmp_path, 'check', *arguments)
        assert result.status == 2
        assert result.error.startswith(error)


class TestReports:
    @pytest.fixture
    def written(self, data, tmp_path):
        annotations = data.contents['train']['annotations']
        annotations[4]['bbox'] = [70, 30, 30, 20]
        annotations[7]['bbox'] = [1, 2, 3]
        data.image('val', 1).write_bytes(data.image('val', 1).read_bytes()[:3000])
        data.write()
        command = ['check', '--data', 'data', '--task', 'instances', '--json', 'a.json', '--html', 'a.html']
        assert run_command(tmp_path, *command).status == 1
        return tmp_path

    def test_json_has_each_file_and_id(self, written):
        report = json.loads((written / 'a.json').read_text())
        kinds = {kind['kind']: kind for kind in report['kinds']}
        assert kinds['box']['findings'][0]['id'] == 8
        assert kinds['image-truncated']['findings'][0]['file'] == 'data/val/val1.png'
        assert kinds['box-overhang']['findings'][0]['box'] == [70, 30, 30, 20]
        assert report['counts']['error'] == sum(kind['count'] for kind in kinds.values() if kind['level'] == 'error')

    def test_page_has_pictures_and_needs_no_network(self, written):
        page = (written / 'a.html').read_text()
        assert not re.search(r'(src|href)="(?!data:|#)', page)
        assert '<script' not in page
        pictures = [base64.b64decode(text) for text in re.findall('data:image/jpeg;base64,([^"]+)', page)]
        images = [cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) for picture in pictures]
        assert len(images) >= 3
        assert all(max(image.shape[:2]) == 360 for image in images)

    def test_boxes_are_drawn_where_they_are(self, data, tmp_path):
        data.contents['train']['annotations'][0].update(bbox=[80, 60, 40, 30], iscrowd=0)
        data.write()
        cv2.imwrite(str(data.image('train', 0)), texture(8)[..., 0])
        run_command(tmp_path, 'check', '--data', 'data', '--task', 'boxes', '--html', 'a.html')
        (text,) = re.findall('id="warning-box-outside".*?base64,([^"]+)', (tmp_path / 'a.html').read_text())[:1]
        image = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR).astype(int)
        red = (image[..., 2] > 180) & (image[..., 1] < 100)
        y, x = np.nonzero(red)
        # Beyond the image's lower right corner, where the canvas is gray.
        assert (x.max() - x.min()) / (y.max() - y.min()) == pytest.approx(40 / 30, abs=0.1)


class TestFix:
    def test_says_what_it_changed_and_checks_the_copy(self, data, tmp_path):
        data.image('val', 1).write_bytes(b'')
        result = run_command(tmp_path, 'check', '--data', 'data', '--task', 'boxes', '--fix', 'clean')
        assert result.status == 0
        assert 'val: left out 1 image with image-unreadable: val1.png' in result.out
        assert (tmp_path / 'clean' / 'changes.txt').read_text() == (
            'val: left out 1 image with image-unreadable: val1.png\n'
        )
        assert run_command(tmp_path, 'check', '--data', 'clean', '--task', 'boxes').status == 0


class TestConfigs:
    def test_the_datasets_of_a_config_are_checked(self, command):
        for config in (DETECTOR, SEGMENTER):
            result = command('check', config)
            assert (result.status, result.out.splitlines()[-1]) == (0, 'Nothing wrong was found.')

    def test_what_a_detector_loses_is_found(self, data, tmp_path):
        boxes = [[40, 40, 2, 2], [30, 5, 45, 20]]
        for annotation, box in zip(data.contents['train']['annotations'], boxes, strict=False):
            annotation.update(data.annotation(annotation['id'], 10, 0, box))
        data.write()
        crop = (
            'train_dataloader.dataset.pipeline=[dict(type="Resize",scale=(80,60),keep_ratio=True),'
            'dict(type="RandomCrop",crop_size=(40,40))]'
        )
        config = tmp_path / 'config.py'
        config.write_text(
            f'_base_ = [{str(DETECTOR)!r}]\n' + crop.replace('.', '=dict(', 1).replace('.', '=dict(', 1) + '))'
        )
        result = run_command(tmp_path, 'check', config, '--data', 'data')
        assert result.status == 0
        assert 'annotation 1: the smallest stride is 4 px after the resize; bbox [40, 40, 2, 2]' in result.out
        assert 'annotation 2: the crop is 40x40 px; bbox [30, 5, 45, 20]' in result.out

    def test_a_segmenter_takes_label_maps(self, tmp_path):
        CleanLabels(tmp_path / 'maps')
        result = run_command(tmp_path, 'check', SEGMENTER, '--data', 'maps')
        assert (result.status, result.out.splitlines()[-1]) == (0, 'Nothing wrong was found.')

    def test_another_task_than_the_config_has_is_refused(self, data, tmp_path):
        result = run_command(tmp_path, 'check', SEGMENTER, '--data', 'data', '--task', 'boxes')
        assert result.error == 'error: --task: the config is for semantic; got boxes.'


def broken_link(file):
    file.unlink()
    file.symlink_to('nowhere')


def link_to_itself(file):
    file.unlink()
    file.symlink_to(file.name)


def folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize('change', [broken_link, link_to_itself, folder])
def test_an_annotation_file_that_is_none_is_an_error_of_the_report(change, tmp_path):
    write(tmp_path / 'set', 'COCO')
    change(tmp_path / 'set' / COCO_FILES[0])
    result = run_command(tmp_path, 'check', '--data', 'set', '--task', 'boxes', '--no-images')
    assert result.status == 1
    assert 'instances_train2017.json: ' in result.out


def test_names_of_classes_of_another_encoding_are_an_error_of_the_report(tmp_path):
    write(tmp_path / 'set', 'maps with a palette')
    (tmp_path / 'set/classes.txt').write_bytes(b'K\xfche')
    result = run_command(tmp_path, 'check', '--data', 'set', '--task', 'semantic', '--no-images')
    assert result.status == 1
    assert 'classes.txt cannot be read' in result.out


def test_names_of_files_that_are_no_text_are_printed(tmp_path, monkeypatch):
    name = '\udcff.png'
    write(tmp_path / 'set', 'COCO')
    change_json(tmp_path / 'set' / COCO_FILES[0], lambda content: content['images'][0].update(file_name=name))
    stream = io.TextIOWrapper(io.BytesIO(), 'utf-8')
    monkeypatch.setattr('sys.stdout', stream)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(['check', '--data', 'set', '--task', 'boxes', '--html', 'report.html'])
    stream.seek(0)
    assert '\\udcff.png' in stream.read()
    assert '\\udcff.png' in (tmp_path / 'report.html').read_text()
