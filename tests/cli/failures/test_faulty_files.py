"""A damaged file, as a user of the commands meets it."""

import shutil

import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options


@pytest.fixture
def folder(demo_data, tmp_path):
    """A folder with the demo data, to be damaged."""
    shutil.copytree(demo_data / 'data', tmp_path / 'data')
    return tmp_path


def train(folder, config, options, *more):
    return run_command(folder, 'train', config, '--work-dir', folder / 'run', *more, '--cfg-options', *options)


class TestFaultyFiles:
    @pytest.mark.parametrize(
        ('config', 'options', 'name'),
        [
            (DETECTOR, detector_options(1), 'coco/train2017/*'),
            (SEGMENTER, segmenter_options(2), 'ade/ADEChallengeData2016/images/training/*'),
            (SEGMENTER, segmenter_options(2), 'ade/ADEChallengeData2016/annotations/training/*'),
        ],
    )
    def test_is_named_before_the_run(self, folder, config, options, name):
        file = sorted((folder / 'data' / 'demo').glob(name))[3]
        file.write_bytes(b'')
        result = train(folder, config, options)
        assert result.status == 2
        assert f'{file.relative_to(folder)}: the file is empty.' in result.error
        assert 'Traceback' not in result.out + result.err

    @pytest.mark.e2e
    @pytest.mark.parametrize('workers', [0, 1])
    def test_is_named_when_a_worker_reads_it(self, folder, workers):
        for file in (folder / 'data' / 'demo' / 'coco' / 'train2017').iterdir():
            file.write_text('no image')
        options = [*detector_options(1), f'train_dataloader.num_workers={workers}']
        result = train(folder, DETECTOR, options, '--skip-check', 'images')
        assert result.status == 2
        assert result.error.endswith('it cannot be decoded as an image: it is cut off, damaged, or something else.')
        assert 'Traceback' not in result.out + result.err

    def test_checkpoints_keep_the_config_as_it_was(self, folder):
        assert train(folder, SEGMENTER, segmenter_options(2)).status == 0
        config = torch.load(folder / 'run' / 'iter_2.pth')['meta']['cfg']
        assert 'LoadImageFromFile' in config
        assert 'Checked' not in config
        assert 'Checked' not in (folder / 'run' / SEGMENTER.name).read_text()
