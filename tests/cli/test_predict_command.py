"""`convnext-dense predict`, on what users have: folders, patterns, videos, and things that are no images."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.demo_runs import DETECTOR
from PIL import Image


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


@pytest.fixture
def photos(demo_data, tmp_path):
    """A folder of images, two of them of one name in folders of their own."""
    images = sorted((demo_data / 'data' / 'demo' / 'coco').rglob('*.jpg'))
    folder = tmp_path / 'my photos'
    for i, name in enumerate(('a/1.jpg', 'b/1.jpg', '2.jpg')):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images[i], folder / name)
    return folder


@pytest.fixture
def clip(tmp_path):
    """A video of six frames."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (96, 64))
    for i in range(6):
        frame = np.full((64, 96, 3), 200, np.uint8)
        cv2.circle(frame, (16 + 10 * i, 32), 12, (60, 20, 220), -1)
        writer.write(frame)
    writer.release()
    return path


class TestFolders:
    def test_a_detector_saves_drawings_and_objects(self, detector, command, photos, tmp_path):
        out = tmp_path / 'out'
        result = command('predict', detector.work_dir, photos, '--out', out, '--score', '0')
        assert result.status == 0, result.err[-3000:]
        drawn = ['images/2.jpg', 'images/a/1.jpg', 'images/b/1.jpg']
        assert files(out) == [*drawn, 'predictions.json', 'sheet.jpg']
        content = json.loads((out / 'predictions.json').read_text())
        assert [image['file_name'] for image in content['images']] == ['2.jpg', 'a/1.jpg', 'b/1.jpg']
        assert [category['name'] for category in content['categories']] == ['circle', 'square', 'triangle', 'star']
        assert content['annotations'][0]['segmentation']['size'] == [128, 128]
        assert f'3 images, {len(content["annotations"])} objects of score 0 or more: ' in result.out
        assert f'Contact sheet: {out / "sheet.jpg"}' in result.out
        assert 'epoch_1.pth' in result.out

    def test_a_segmenter_saves_drawings_and_maps(self, segmenter, command, photos, tmp_path):
        out = tmp_path / 'out'
        result = command('predict', segmenter.work_dir, photos, '--out', out, '--batch-size', '2')
        assert result.status == 0, result.err[-3000:]
        maps = ['maps/2.png', 'maps/a/1.png', 'maps/b/1.png']
        assert files(out) == ['images/2.jpg', 'images/a/1.jpg', 'images/b/1.jpg', *maps, 'sheet.jpg']
        label_map = Image.open(out / maps[0])
        assert label_map.mode == 'P'
        assert label_map.size == Image.open(photos / '2.jpg').size
        assert result.out.splitlines()[1] == '3 images.'

    def test_all_kinds_can_be_saved(self, detector, command, photos, tmp_path):
        out = tmp_path / 'out'
        arguments = ['predict', detector.checkpoint, f'{photos}/*.jpg', '--score', '0', '--classes', 'circle', 'star']
        result = command(*arguments, '--save', 'yolo', 'crops', 'json', '--out', out)
        assert result.status == 0, result.err[-3000:]
        found = files(out)
        count = len(json.loads((out / 'predictions.json').read_text())['annotations'])
        assert count > 0
        assert len([file for file in found if file.startswith('crops/')]) == count
        assert {'labels/2.txt', 'labels/data.yaml', 'sheet.jpg'} <= set(found)
        lines = (out / 'labels' / '2.txt').read_text().splitlines()
        assert {line.split()[0] for line in lines} <= {'0', '3'}

    def test_the_default_folder_is_no_input(self, segmenter, command, demo_data):
        folder = demo_data / 'own'
        folder.mkdir()
        shutil.copy(next((demo_data / 'data').rglob('*.jpg')), folder / '1.jpg')
        for _ in range(2):
            result = command('predict', segmenter.work_dir, folder, '--out', folder / 'out', '--save', 'maps')
            assert result.out.splitlines()[1] == '1 image.', result.err[-3000:]


class TestModels:
    def test_a_config_is_followed_by_its_checkpoint(self, detector, command, photos, tmp_path):
        out = tmp_path / 'out'
        result = command('predict', DETECTOR, detector.checkpoint, photos / '2.jpg', '--out', out, '--tile', '96')
        assert result.status == 0, result.err[-3000:]
        assert files(out) == ['images/2.jpg', 'predictions.json', 'sheet.jpg']

    def test_a_converted_model_is_one_file(self, detector, command, photos, tmp_path):
        file = tmp_path / 'model.pth'
        result = command('weights', 'convert', '--model', DETECTOR, detector.checkpoint, file)
        assert result.status == 0, result.err[-3000:]
        assert '4 classes' in result.out
        assert file.stat().st_size < detector.checkpoint.stat().st_size / 2
        found = []
        for i, model in enumerate((file, detector.checkpoint)):
            out = tmp_path / f'out{i}'
            result = command('predict', model, photos, '--out', out, '--save', 'json', '--score', '0')
            assert result.status == 0, result.err[-3000:]
            found.append((out / 'predictions.json').read_text())
        assert found[0] == found[1]
        result = command('weights', 'convert', '--model', DETECTOR, detector.checkpoint, tmp_path / 'm.safetensors')
        assert result.status == 2
        assert 'a model with its config is a file of .pth or .pt' in result.error


class TestVideos:
    def test_a_video_is_drawn_as_one(self, detector, command, clip, tmp_path):
        out = tmp_path / 'out'
        result = command('predict', detector.work_dir, clip, '--out', out, '--score', '0')
        assert result.status == 0, result.err[-3000:]
        assert files(out) == ['images/clip.mp4', 'predictions.json', 'sheet.jpg']
        content = json.loads((out / 'predictions.json').read_text())
        assert [image['frame_id'] for image in content['images']] == [0, 1, 2, 3, 4, 5]
        drawn = cv2.VideoCapture(str(out / 'images' / 'clip.mp4'))
        assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 6
        assert drawn.get(cv2.CAP_PROP_FPS) == pytest.approx(10)

    def test_a_segmenter_has_a_map_for_each_frame(self, segmenter, command, clip, tmp_path):
        out = tmp_path / 'out'
        result = command('predict', segmenter.work_dir, clip, '--out', out)
        assert result.status == 0, result.err[-3000:]
        assert files(out) == ['images/clip.mp4', *(f'maps/clip/00000{i}.png' for i in range(6)), 'sheet.jpg']


class TestMistakes:
    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (['nowhere.jpg'], 'there is no file or folder nowhere.jpg'),
            (['.', '--score', '2'], '--score: it must be from 0 to 1; got 2.0'),
            (['.', '--overlap', '1', '--tile', '96'], '--overlap: it must be from 0 to 0.9'),
            (['.', '--tile', '9'], '--tile: it must be at least 64 pixels'),
            (['.', '--classes', 'dog'], "--classes: 'dog' is none of the model, whose classes are circle, square"),
            (['.', '--save', 'maps'], '--save: maps are label maps, and this model finds objects'),
            (['.', '--device', 'gpu9'], "--device: 'gpu9' cannot be used here"),
            (['.', '--out', '/proc/out'], '--out: '),
            (['x.pth'], 'inputs: x.pth is the checkpoint of the model; give images after it'),
        ],
    )
    def test_it_is_one_sentence(self, detector, command, photos, arguments, message):
        arguments = [photos if part == '.' else part for part in arguments]
        result = command('predict', detector.work_dir, *arguments)
        assert result.status == 2
        assert message in result.error

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (['--score', '0.5'], '--score: it is of objects, and this model segments'),
            (['--classes', 'sky'], "--classes: 'sky' is none of the model"),
            (['--save', 'json'], '--save: json is of objects, and this model segments'),
        ],
    )
    def test_what_is_of_objects_is_none_of_a_segmenter(self, segmenter, command, photos, arguments, message):
        result = command('predict', segmenter.work_dir, photos, *arguments)
        assert result.status == 2
        assert message in result.error

    @pytest.mark.parametrize('options', [[], ['--tile', '64'], ['--batch-size', '8']])
    def test_a_broken_image_is_left_out_and_named(self, detector, command, photos, tmp_path, options):
        number = len([path for path in photos.rglob('*') if path.is_file()])
        (photos / 'a.jpg').write_bytes(b'no image')
        (photos / 'c.jpg').write_bytes(b'no image')
        out = tmp_path / 'out'
        result = command('predict', detector.work_dir, photos, '--out', out, *options)
        assert result.status == 1
        assert '2 images cannot be read, and are left out: ' in result.error
        assert 'c.jpg' in result.error
        assert 'warning: ' in result.err
        assert len(json.loads((out / 'predictions.json').read_text())['images']) == number

    def test_broken_images_alone_are_an_error(self, detector, command, tmp_path):
        (tmp_path / 'photos').mkdir()
        (tmp_path / 'photos' / 'c.jpg').write_bytes(b'no image')
        result = command('predict', detector.work_dir, tmp_path / 'photos', '--out', tmp_path / 'out')
        assert result.status == 2
        assert 'c.jpg' in result.error

    def test_a_folder_without_images_is_named(self, detector, command, tmp_path):
        (tmp_path / 'empty').mkdir()
        result = command('predict', detector.work_dir, tmp_path / 'empty')
        assert result.status == 2
        assert 'there is no image in' in result.error
