"""`convnext-dense explain`, on what was trained, and on backbones by their names."""

import shutil

import pytest
from helpers.demo_runs import DETECTOR
from PIL import Image

from convnext_dense.inference.explaining import fields

SMALL = 'convnext_dense/ModernizedResNet(depths=(1,1,1,1),width=8,inverted_bottleneck=True)'


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    """Receptive fields of few and small images."""
    monkeypatch.setattr(fields, 'SIDE', 128)
    monkeypatch.setattr(fields, 'MOST_IMAGES', 2)
    monkeypatch.setattr(fields, 'NOISE_IMAGES', 2)


@pytest.fixture
def photos(demo_data, tmp_path):
    """A folder of three images, one of them in a folder inside."""
    images = sorted((demo_data / 'data' / 'demo' / 'coco').rglob('*.jpg'))
    folder = tmp_path / 'photos'
    (folder / 'inner').mkdir(parents=True)
    for image, name in zip(images, ('1.jpg', '2.jpg', 'inner/1.jpg'), strict=False):
        shutil.copy(image, folder / name)
    return folder


def rows(result):
    """The rows of the table that was printed."""
    lines = result.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('backbone ')) + 1
    return [line.split() for line in lines[start : lines.index('', start)]]


class TestExplain:
    def test_draws_a_run_and_a_backbone_by_its_name(self, segmenter, command, photos, tmp_path):
        out = tmp_path / 'out'
        result = command('explain', segmenter.work_dir, photos, '--backbones', SMALL, '--out', out)
        assert result.status == 0, result.err[-3000:]
        found = sorted(path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file())
        assert found == ['features/1.jpg', 'features/2.jpg', 'features/inner/1.jpg', 'receptive_fields.jpg']
        assert all(Image.open(out / name).width > 1000 for name in found)
        assert f'{SMALL}: random weights' in result.out
        assert 'iter_4.pth' in result.out
        assert 'in the middle of 2 images of 3.' in result.out
        run, other = rows(result)[:4], rows(result)[4:]
        assert [row[1:4] for row in run] == [['1', '4', '32'], ['2', '8', '64'], ['3', '16', '128'], ['4', '32', '128']]
        assert [row[1:4] for row in other] == [['1', '4', '8'], ['2', '8', '16'], ['3', '16', '32'], ['4', '32', '64']]
        # From stage to stage the square of 99 % grows.
        sides = [int(row[-4]) for row in run]
        assert sides == sorted(sides)
        assert 'mmengine' not in result.out

    def test_takes_a_detectors_config_and_checkpoint(self, detector, command, photos, tmp_path):
        out = tmp_path / 'out'
        result = command('explain', DETECTOR, detector.checkpoint, photos / '1.jpg', '--out', out)
        assert result.status == 0, result.err[-3000:]
        assert (out / 'features' / '1.jpg').is_file()
        assert 'in the middle of 1 image.' in result.out

    def test_needs_no_images(self, command, tmp_path):
        result = command('explain', SMALL, '--out', tmp_path / 'out')
        assert result.status == 0, result.err[-3000:]
        assert [path.name for path in (tmp_path / 'out').iterdir()] == ['receptive_fields.jpg']
        assert 'noise, as no image is given' in result.out
        assert [row[4] for row in rows(result)] == ['-'] * 4


class TestMistakes:
    @pytest.mark.parametrize(
        ('arguments', 'sentence'),
        [
            (['nowhere'], 'model: nowhere is no work directory'),
            (['convnext_tinny'], 'similar names are convnext_tiny'),
            ([SMALL, 'nowhere.jpg'], 'inputs: there is no file or folder nowhere.jpg.'),
            ([SMALL, 'epoch_1.pth'], 'is the name of a backbone; give the config of epoch_1.pth before it.'),
            ([SMALL, '0'], 'inputs: 0 is a video; give images.'),
            ([SMALL, '--out', '/proc/x'], '--out: nothing can be written to /proc/x'),
            ([SMALL, '--device', 'moon'], "--device: 'moon' cannot be used here"),
            ([SMALL, '--backbones', 'mmdet/Nothing'], 'backbone mmdet/Nothing: there is no mmdet.Nothing'),
            ([str(DETECTOR)], 'is a config; give its checkpoint, too.'),
        ],
        ids=lambda value: ' '.join(value)[-30:] if isinstance(value, list) else '',
    )
    def test_are_one_sentence(self, command, arguments, sentence):
        result = command('explain', *arguments)
        assert result.status == 2
        assert sentence in result.error

    def test_from_scratch_is_for_backbones_by_their_names(self, segmenter, command):
        result = command('explain', segmenter.work_dir, '--from-scratch')
        assert result.status == 2
        assert '--from-scratch: it is for backbones by their names, and there is none.' in result.error

    def test_a_file_that_is_no_image(self, command, tmp_path):
        (tmp_path / 'a.jpg').write_text('no image')
        result = command('explain', SMALL, tmp_path / 'a.jpg', '--out', tmp_path / 'out')
        assert result.status == 2
        assert 'a.jpg' in result.error
