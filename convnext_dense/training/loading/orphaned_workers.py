"""Gives the workers of a dataloader the life of the process that reads from them: no longer, and no shorter.

PyTorch's own end by themselves when their reader does, unless they wait to write a batch to a pipe that nobody reads.
Then they stay for ever, with all their memory. A detector's batches, whose masks are no tensors, go through a pipe.

They also end by a signal that a terminal, or a scheduler, sends to all processes of a job, while their reader still
finishes its step.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from torch.utils.data import DataLoader

# How often a worker looks whether its reader is there, in seconds.
INTERVAL = 2.0
# What the reader answers for all.
SIGNALS = {getattr(signal, name) for name in ('SIGTERM', 'SIGINT', 'SIGUSR1') if hasattr(signal, name)}


def end_with_reader(loader: DataLoader) -> None:
    """Make a dataloader's workers end when the process that reads from them does, in whatever way, and by no signal.

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


def end_workers(loader: DataLoader) -> None:
    """End the workers that a dataloader keeps from epoch to epoch.

    Where it is left to Python's garbage collector, it may wait five seconds for each worker: a queue through which it
    ends them may have been collected before.

    Args:
        loader: The dataloader, which starts others when it is iterated again.

    Example:
        >>> end_workers(DataLoader([1, 2, 3]))
    """
    iterator = getattr(loader, '_iterator', None)
    if iterator is not None:
        iterator._shutdown_workers()
        loader._iterator = None


def _start(reader: int, own: Callable[[int], None] | None, worker: int) -> None:
    if hasattr(signal, 'sigtimedwait'):
        # Taken by the thread that watches. Threads that are started later block them, too.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    if own is not None:
        own(worker)


def _watch(reader: int) -> None:
    is_terminated = False
    while os.getppid() == reader and not is_terminated:
        is_terminated = _is_terminated_by(reader)
    # Without the end of Python, which would wait for the pipe.
    os._exit(0 if is_terminated else 1)


def _is_terminated_by(reader: int) -> bool:
    """Wait for a signal, for a while, and return whether it is the reader's, which ends its workers so."""
    if not hasattr(signal, 'sigtimedwait'):
        time.sleep(INTERVAL)
        return False
    received = signal.sigtimedwait(SIGNALS, INTERVAL)
    return received is not None and received.si_signo == signal.SIGTERM and received.si_pid == reader
