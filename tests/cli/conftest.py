"""Fixtures that the commands' tests share."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.commands import Result, run_command
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options


class Trained(NamedTuple):
    """A demo config trained for a few steps."""

    config: Path
    work_dir: Path
    checkpoint: Path
    result: Result


@pytest.fixture(scope='session')
def train(tmp_path_factory, demo_data):
    """Train a config with options and flags; return what came of it."""

    def run(config: Path, options: list[str], last: str, *flags: str) -> Trained:
        work_dir = tmp_path_factory.mktemp(config.stem)
        result = run_command(demo_data, 'train', config, '--work-dir', work_dir, *flags, '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        return Trained(config, work_dir, work_dir / last, result)

    return run


@pytest.fixture(scope='session')
def detector(train) -> Trained:
    """The demo detector after an epoch of four steps."""
    return train(DETECTOR, detector_options(1), 'epoch_1.pth')


@pytest.fixture(scope='session')
def segmenter(train) -> Trained:
    """The demo segmenter after four steps."""
    return train(SEGMENTER, segmenter_options(4), 'iter_4.pth')


@pytest.fixture
def trained(request, task) -> Trained:
    """The trained detector or segmenter, by the test's parameter `task`."""
    return request.getfixturevalue(task)


@pytest.fixture
def metrics():
    """Read the metrics that a test wrote into a work dir."""
    return lambda work_dir: json.loads(max(work_dir.glob('*/*.json')).read_text())
