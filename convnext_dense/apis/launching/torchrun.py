"""PyTorch's launcher, which says in a few lines which of its processes failed, and why.

Run ``python -m convnext_dense.apis.launching.torchrun`` with torchrun's arguments. It exits with the status of the
process that failed, so that a mistake in the arguments is 2, as without a launcher. It passes signals on, and waits.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from torch.distributed import DistError, run
from torch.distributed.elastic.multiprocessing import api
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError

from convnext_dense.errors import STOPPED
from convnext_dense.launched import LAUNCHED

# How a process fails that cannot reach another one: as a rule not the first one to fail.
UNREACHED = ('gloo', 'nccl', 'connection closed', 'connection reset', 'broken pipe', 'timed out waiting', 'dist')
SIGNALED = 128


def main(arguments: Sequence[str] | None = None) -> None:
    """Start processes, and wait for them.

    Args:
        arguments: torchrun's. Defaults to those that this process was started with.
    """
    os.environ[LAUNCHED] = '1'
    # The launcher's own handler, of SIGTERM and SIGINT among others, gives its processes 30 seconds.
    api._terminate_process_handler = _pass_on
    signal.signal(signal.SIGUSR1, _pass_on)
    try:
        run.main(arguments)
    except ChildFailedError as error:
        # A process that ends so has saved, and waited for the others.
        if any(failure.exitcode == STOPPED for failure in error.failures.values()):
            sys.exit(STOPPED)
        sys.exit(_explain(error.failures))
    except SignalException as error:
        print(f'stopped by {signal.Signals(error.sigval).name}', file=sys.stderr)
        sys.exit(SIGNALED + error.sigval)
    except (RendezvousError, DistError) as error:
        print(f'error: the machines did not meet: {" ".join(str(error).split())}', file=sys.stderr)
        sys.exit(1)


def _pass_on(signum: int, frame: FrameType | None) -> None:
    """Send a signal to the processes that this one started."""
    for thread in Path('/proc/self/task').iterdir():
        for process in (thread / 'children').read_text().split():
            os.kill(int(process), signum)


def _explain(failures: dict[int, ProcessFailure]) -> int:
    """Print why processes failed, the cause first, and return the status to exit with."""
    # The launcher itself ends the others by SIGTERM.
    own = {rank: failure for rank, failure in failures.items() if failure.exitcode != -signal.SIGTERM} or failures
    ranks = sorted(own, key=lambda rank: _order(own[rank]))
    for i, rank in enumerate(ranks):
        message, text = _word(own[rank])
        place = f'rank {rank} (process {own[rank].pid} on {socket.gethostname()})'
        start = f'error: {place}' if not i else f'after it, {place}'
        print(f'{start}: {message}', file=sys.stderr)
        if not i and text != message:
            print(text.rstrip(), file=sys.stderr)
    status = own[ranks[0]].exitcode
    return SIGNALED - status if status < 0 else status


def _order(failure: ProcessFailure) -> tuple[int, float]:
    """Return what sorts causes before their effects."""
    message = failure.message
    if not isinstance(message, dict):
        return 1, failure.timestamp
    is_effect = any(word in message['message'].lower() for word in UNREACHED)
    return 2 if is_effect else 0, float(message['extraInfo'].get('moment', failure.timestamp))


def _word(failure: ProcessFailure) -> tuple[str, str]:
    """Return why a process failed on one line, and with its traceback if it left one."""
    message = failure.message
    if isinstance(message, dict):
        return message['message'], message['extraInfo']['py_callstack']
    is_killed = failure.exitcode < 0
    line = f'killed by {failure.signal_name()}' if is_killed else f'ended with status {failure.exitcode}'
    return line, line


if __name__ == '__main__':
    main()
