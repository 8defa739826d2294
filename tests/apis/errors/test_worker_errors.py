"""A worker that is killed ends the run with one sentence."""

import os
import signal

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

from convnext_dense.apis.errors.run_errors import errors_as_sentences
from convnext_dense.errors import RunError
from convnext_dense.training.loading.orphaned_workers import end_with_reader


class Ending:
    """A dataset that ends its worker."""

    def __init__(self, end):
        self.end = end

    def __len__(self):
        return 4

    def __getitem__(self, i):
        self.end()
        return i


@pytest.mark.parametrize(
    ('end', 'sentence'),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r'ended by a signal \(Killed\), mostly .*num_workers'),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), r'\(Segmentation fault\), .*: num_workers=0 shows where'),
        (lambda: os._exit(3), 'has ended by itself. What was saved before is kept; resume'),
    ],
    ids=['killed', 'crashed', 'exited'],
)
def test_says_what_happened_and_what_helps(end, sentence, tmp_path):
    loader = DataLoader(Ending(end), num_workers=1)
    end_with_reader(loader)
    with pytest.raises(RunError, match=sentence), errors_as_sentences(Config(dict(work_dir=str(tmp_path)))):
        list(loader)
