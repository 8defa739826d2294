"""Workers of a dataloader end when the process that reads from them was killed."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from convnext_dense.training.loading import orphaned_workers
from convnext_dense.training.loading.orphaned_workers import end_with_reader


class LargeMasks(Dataset):
    """Samples that do not fit into a pipe."""

    def __len__(self):
        return 100

    def __getitem__(self, i):
        return {'worker': os.getpid(), 'masks': np.zeros(5_000_000, np.uint8)}


def _read(queue, is_watched):
    loader = DataLoader(LargeMasks(), batch_size=1, num_workers=2, collate_fn=list)
    if is_watched:
        end_with_reader(loader)
    batches = iter(loader)
    queue.put({next(batches)[0]['worker'] for _ in range(4)})
    time.sleep(60)


def _is_there(process):
    try:
        with open(f'/proc/{process}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


@pytest.mark.e2e
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_workers_end(number, monkeypatch):
    monkeypatch.setattr(orphaned_workers, 'INTERVAL', 0.2)
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    reader = context.Process(target=_read, args=(queue, True))
    reader.start()
    workers = queue.get(timeout=60)
    assert len(workers) == 2
    assert all(map(_is_there, workers))
    os.kill(reader.pid, number)
    reader.join(timeout=30)
    deadline = time.monotonic() + 30
    while any(map(_is_there, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_is_there, workers))


def test_the_loaders_own_start_of_workers_stays():
    started = multiprocessing.get_context('fork').Value('i', 0)

    def start(worker):
        with started:
            started.value += 1

    loader = DataLoader([1, 2], num_workers=2, worker_init_fn=start)
    end_with_reader(loader)
    assert len(list(loader)) == 2
    assert started.value == 2
