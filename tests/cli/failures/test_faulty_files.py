"""A damaged file, as a user of the commands meets it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, ROOT, SEGMENTER, detector_options, segmenter_options

from convnext_dense.checks import check_run


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

    def test_ends_validation(self, folder):
        file = next((folder / 'data' / 'demo' / 'coco' / 'val2017').iterdir())
        file.write_bytes(file.read_bytes()[:200])
        result = train(folder, DETECTOR, detector_options(1), '--skip-check', 'images')
        assert result.status == 2
        assert result.error.startswith(f'error: {file.relative_to(folder)}: it cannot be decoded')

    def test_checkpoints_keep_the_config_as_it_was(self, folder):
        assert train(folder, SEGMENTER, segmenter_options(2)).status == 0
        config = torch.load(folder / 'run' / 'iter_2.pth')['meta']['cfg']
        assert 'LoadImageFromFile' in config
        assert 'Checked' not in config
        assert 'Checked' not in (folder / 'run' / SEGMENTER.name).read_text()


COCO, ADE = 'coco/train2017', 'ade/ADEChallengeData2016'


def _cut(file):
    file.write_bytes(file.read_bytes()[:200])


def _shrink(file):
    cv2.imwrite(str(file), cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[:-8])


def _of_other_values(file):
    cv2.imwrite(str(file), cv2.imread(str(file), cv2.IMREAD_UNCHANGED) + 100)


DAMAGED = [
    (DETECTOR, detector_options(2), COCO, Path.unlink, 'there is no such file.'),
    (DETECTOR, detector_options(2), COCO, _cut, 'it cannot be decoded as an image'),
    (DETECTOR, detector_options(2), COCO, _shrink, 'the image is 128x120 px (width x height); its annotations'),
    (SEGMENTER, segmenter_options(8), f'{ADE}/annotations/training', Path.unlink, 'there is no such file.'),
    (SEGMENTER, segmenter_options(8), f'{ADE}/annotations/training', _cut, 'it cannot be read'),
    (SEGMENTER, segmenter_options(8), f'{ADE}/annotations/training', _shrink, 'the label map is'),
    (SEGMENTER, segmenter_options(8), f'{ADE}/annotations/training', _of_other_values, 'it has the values'),
]


class TestFilesThatBecomeUnreadable:
    """They are damaged after the checks before the run."""

    @pytest.fixture
    def damage(self, folder, monkeypatch):
        """Damage the first files of a folder when the checks are done; return their names."""

        def after_checks(place, count, how):
            files = sorted((folder / 'data' / 'demo' / place).iterdir())[:count]

            def check(*arguments):
                check_run(*arguments)
                for file in files:
                    how(file)

            monkeypatch.setattr('convnext_dense.apis.training.check_run', check)
            return [file.relative_to(folder) for file in files]

        return after_checks

    @pytest.mark.parametrize(
        ('config', 'options', 'place', 'how', 'reason'),
        [*DAMAGED[2:4], *(pytest.param(*case, marks=pytest.mark.full) for case in DAMAGED)],
    )
    def test_are_named_once_and_replaced(self, damage, folder, config, options, place, how, reason):
        (name,) = damage(place, 1, how)
        result = train(folder, config, options)
        assert result.status == 0, result.err[-3000:]
        assert result.out.count(f'{name}: {reason}') == 1
        assert 'Another sample takes its place (1 so far; at most 3 of 16 samples' in result.out
        assert (folder / 'run' / 'unreadable_files.txt').read_text().startswith(f'{name}: {reason}')

    def test_end_the_run_with_the_list_if_they_are_many(self, damage, folder):
        names = damage(COCO, 5, _cut)
        result = train(folder, DETECTOR, detector_options(2))
        assert result.status == 2
        assert 'samples cannot be read, and at most 3 of 16 samples may be replaced' in result.error
        found = (folder / 'run' / 'unreadable_files.txt').read_text()
        assert sum(str(name) in found for name in names) > 3
        assert 'Traceback' not in result.out + result.err

    def test_end_the_run_at_once_if_none_may_be_replaced(self, damage, folder):
        (name,) = damage(COCO, 1, _cut)
        hooks = "custom_hooks=[{'type':'convnext_dense.UnreadableFilesHook','max_fraction':0.0}]"
        result = train(folder, DETECTOR, [*detector_options(1), hooks])
        assert result.status == 2
        assert result.error.startswith(f'error: {name}: it cannot be decoded')

    @pytest.mark.e2e
    @pytest.mark.parametrize(('count', 'status'), [(2, 0), (8, 1)])
    def test_are_counted_over_workers_and_processes(self, folder, count, status):
        names = sorted((folder / 'data' / 'demo' / f'{ADE}/images/training').iterdir())[:count]
        for file in names:
            _cut(file)
        options = [*segmenter_options(12), 'train_dataloader.num_workers=2', 'train_dataloader.batch_size=2']
        ended = subprocess.run(
            [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '-m', 'convnext_dense', 'train',
             SEGMENTER, '--work-dir', folder / 'run', '--launcher', 'pytorch', '--skip-check', 'images',
             '--cfg-options', *options],
            cwd=folder, env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}, capture_output=True,
            text=True,
        )  # fmt: skip
        assert (ended.returncode == 0) == (status == 0), ended.stderr[-3000:]
        found = (folder / 'run' / 'unreadable_files.txt').read_text()
        assert sum(name.name in found for name in names) == len(found.splitlines()) >= min(count, 4)
        if count == 2:
            for name in names:
                assert (ended.stdout + ended.stderr).count(f'{name.name}: it cannot be decoded') == 1
        else:
            assert 'at most 3 of 16 samples may be replaced' in ended.stderr
