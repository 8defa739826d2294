"""Fixtures that the tools' tests share."""

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER, TRAIN, detector_options, segmenter_options


@pytest.fixture(scope='session')
def trained(tmp_path_factory, demo_data, run_tool):
    """Each demo config trained for a few steps: its checkpoint, work dir, and what was printed."""

    class Trained:
        def __init__(self, config, options, last):
            self.config = config
            self.work_dir = tmp_path_factory.mktemp(config.stem)
            self.result = run_tool(TRAIN, config, '--work-dir', self.work_dir, '--cfg-options', *options)
            assert self.result.returncode == 0, self.result.stderr[-3000:]
            self.checkpoint = self.work_dir / last

    return {
        'detector': Trained(DETECTOR, detector_options(1), 'epoch_1.pth'),
        'segmenter': Trained(SEGMENTER, segmenter_options(4), 'iter_4.pth'),
    }
