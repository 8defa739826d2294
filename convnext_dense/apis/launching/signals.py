"""Stops a training by signals, as schedulers and people send them."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

from convnext_dense.training.stop_request import REQUEST

# Of schedulers before a time limit or a preemption, of a keyboard, and of Slurm's `--signal=USR1@SECONDS`.
SIGNALS = [getattr(signal, name) for name in ('SIGTERM', 'SIGINT', 'SIGUSR1') if hasattr(signal, name)]


@contextmanager
def stopped_by_signals() -> Generator[None]:
    """Make SIGTERM, SIGINT and SIGUSR1 stop the training in the block after its step, by `StopHook`.

    Only Python's main thread can.

    Example:
        >>> with stopped_by_signals():
        ...     print('the training')
        the training
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # The same object: hooks ask it.
    REQUEST.__init__()
    handlers = {number: signal.signal(number, REQUEST.note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
