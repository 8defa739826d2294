"""Ends the workers of a dataloader when the process that reads from them is no more.

PyTorch's own end by themselves, unless they wait to write a batch to a pipe that nobody reads: then they stay for ever,
with all their memory. A detector's batches, whose masks are no tensors, go through such a pipe.
"""

import os
import threading
import time
from collections.abc import Callable
from functools import partial

from torch.utils.data import DataLoader

# How often a worker looks whether its reader is there, in seconds.
INTERVAL = 2.0


def end_with_reader(loader: DataLoader) -> None:
    """Make a dataloader's workers end when the process that reads from them does, in whatever way.

    Args:
        loader: A dataloader that has not been read from yet, which is changed.

    Example:
        >>> loader = DataLoader([1, 2, 3], num_workers=1)
        >>> end_with_reader(loader)
        >>> len(list(loader))
        3
    """
    if loader.num_workers:
        loader.worker_init_fn = partial(_start, os.getpid(), loader.worker_init_fn)


def _start(reader: int, own: Callable[[int], None] | None, worker: int) -> None:
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    if own is not None:
        own(worker)


def _watch(reader: int) -> None:
    while os.getppid() == reader:
        time.sleep(INTERVAL)
    # Without the end of Python, which would wait for the pipe.
    os._exit(1)
