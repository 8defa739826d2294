"""PyTorch's launcher, except that it passes signals on and waits, and exits as a training that was stopped does.

PyTorch's own gives its processes 30 seconds, and exits with status 1.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from torch.distributed.elastic.multiprocessing import api
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from convnext_dense.cli.main import STOPPED


def _pass_on(number: int, frame: FrameType | None) -> None:
    """Send a signal to the processes that this one started."""
    for thread in Path('/proc/self/task').iterdir():
        for process in (thread / 'children').read_text().split():
            os.kill(int(process), number)


if __name__ == '__main__':
    # The launcher's own handler, of SIGTERM and SIGINT among others, ends it.
    api._terminate_process_handler = _pass_on
    signal.signal(signal.SIGUSR1, _pass_on)
    try:
        main()
    except ChildFailedError as error:
        # A process that ends so has saved, and waited for the others.
        if any(failure.exitcode == STOPPED for failure in error.failures.values()):
            sys.exit(STOPPED)
        raise
