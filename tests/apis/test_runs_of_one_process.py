"""Runs of one process each write into their own folder."""

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER

from convnext_dense.apis.runner import build_runner
from convnext_dense.config import load_config
from convnext_dense.evaluation.strict_load_runner import TrainRunner


@pytest.mark.parametrize('config', [DETECTOR, SEGMENTER], ids=['detector', 'segmenter'])
def test_curves_are_in_the_runs_own_folder(config, demo_data, tmp_path, monkeypatch):
    monkeypatch.chdir(demo_data)
    for name in ('first', 'second'):
        runner = build_runner(load_config(str(config), str(tmp_path / name)), TrainRunner)
        runner.visualizer.add_scalar('loss', 1.0, 1)
        (scalars,) = (tmp_path / name).glob('*/vis_data/scalars.json')
        assert len(scalars.read_text().splitlines()) == 1
