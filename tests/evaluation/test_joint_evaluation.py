"""Several processes evaluate each image once, also if there are not as many for each."""

import json
import pickle
from pathlib import Path

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options
from helpers.several.processes import run_in_processes

pytestmark = pytest.mark.e2e

IMAGES = 7
SEVEN = ['--cfg-options', f'test_dataloader.dataset.indices={IMAGES}', 'test_dataloader.batch_size=1']
SEVEN += ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']


def scores(work_dir: Path) -> dict[str, float]:
    """Return what a test logged."""
    (file,) = work_dir.glob('*/*.json')
    values = json.loads(file.read_text())
    return {name: value for name, value in values.items() if 'time' not in name}


@pytest.mark.parametrize('processes', [2, pytest.param(4, marks=pytest.mark.full)])
def test_seven_images(command, demo_data, tmp_path, processes):
    tests = {}
    for name, config, options, checkpoint in (
        ('detector', DETECTOR, detector_options(1), 'epoch_1.pth'),
        ('segmenter', SEGMENTER, segmenter_options(2), 'iter_2.pth'),
    ):
        folder = tmp_path / name
        assert command('train', config, '--work-dir', folder, '--cfg-options', *options).status == 0
        out = '.pkl' if name == 'detector' else ''

        def test(place: str, start=('test', config, folder / checkpoint), folder=folder, out=out) -> list:
            return [*start, '--work-dir', folder / place, '--out', folder / f'{place}-out{out}', *SEVEN]

        tests[folder] = test
    run_in_processes(processes, demo_data, [test('many') for test in tests.values()], tmp_path)
    for folder, test in tests.items():
        assert command(*test('one')).status == 0
        assert scores(folder / 'many') == scores(folder / 'one')
    images = [sample['img_path'] for sample in pickle.loads((tmp_path / 'detector' / 'many-out.pkl').read_bytes())]
    assert len(images) == len(set(images)) == IMAGES
    assert len(list((tmp_path / 'segmenter' / 'many-out').iterdir())) == IMAGES
