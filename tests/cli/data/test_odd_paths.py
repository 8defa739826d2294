"""Datasets whose files and folders have names as people give them."""

import os

import pytest
from helpers.commands import run_command
from helpers.data.coco_layouts import write_split
from helpers.data.map_folders import write_pairs
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options

ODD = 'mein Sét 数据 (1)'


def write_objects(place):
    for split, count in (('train', 4), ('valid', 2)):
        write_split(place, f'{split}/_annotations.coco.json', split, 'bild ü #', count)


def write_maps(place):
    for split, count in (('train', 4), ('valid', 2)):
        write_pairs(place, f'{split}/images', f'{split}/labels', '.JPG', '.PNG', count, (0, 1), 'bild ü #')


@pytest.fixture(params=['objects', 'maps'])
def task(request):
    return dict(
        objects=(DETECTOR, detector_options(1), write_objects), maps=(SEGMENTER, segmenter_options(1), write_maps)
    )[request.param]


@pytest.fixture(params=['as it is', 'of links to files', 'by a link'])
def place(request, task, tmp_path):
    """A dataset in a folder with an odd name."""
    *_, write = task
    place = tmp_path / ODD / 'data'
    write(place if request.param == 'as it is' else tmp_path / 'elsewhere')
    if request.param == 'by a link':
        place.parent.mkdir()
        place.symlink_to(tmp_path / 'elsewhere')
    elif request.param == 'of links to files':
        for file in [file for file in (tmp_path / 'elsewhere').rglob('*') if file.is_file()]:
            link = place / file.relative_to(tmp_path / 'elsewhere')
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return place


class TestBrowse:
    def test_draws_the_images(self, task, place, tmp_path):
        result = run_command(tmp_path, 'browse', task[0], '--data', place, '--work-dir', tmp_path / f'{ODD} work')
        assert result.status == 0, result.err
        names = {path.name for path in (tmp_path / f'{ODD} work' / 'browse/train/images').iterdir()}
        assert names == {f'00{i + 1}_bild ü #{i}.png' for i in range(4)}


@pytest.mark.full
class TestTrainAndTest:
    def test_run(self, task, place, tmp_path):
        config, options, _ = task
        work_dir = tmp_path / f'{ODD} work'
        common = ['--data', place, '--work-dir', work_dir, '--cfg-options', *options]
        result = run_command(tmp_path, 'train', config, *common)
        assert result.status == 0, result.err
        (checkpoint,) = work_dir.glob('*_1.pth')
        result = run_command(tmp_path, 'test', config, checkpoint, '--show-dir', tmp_path / ODD / 'shown', *common)
        assert result.status == 0, result.err
        assert sorted(path.stem for path in (tmp_path / ODD / 'shown').rglob('*.*')) == ['bild ü #0', 'bild ü #1']


class TestNamesThatAreNoText:
    """Names of archives from systems of other encodings, whose bytes are no UTF-8."""

    NAME = os.fsdecode(b'b\xfcld')

    def test_are_read_by_check(self, tmp_path):
        for split, count in (('train', 2), ('valid', 1)):
            write_pairs(
                tmp_path / 'data', f'{split}/images', f'{split}/labels', '.png', '.png', count, (0, 1), self.NAME
            )
        result = run_command(tmp_path, 'check', '--data', 'data', '--task', 'semantic', '--workers', 1)
        assert result.status == 0, result.out + result.err

    def test_may_be_those_of_the_demo_data(self, tmp_path):
        made = run_command(tmp_path, 'demo', '--only-data', '--out', self.NAME, '--num-train', 1, '--num-val', 1)
        assert made.status == 0, made.err
        assert len(list((tmp_path / self.NAME).rglob('*.png'))) == 2
