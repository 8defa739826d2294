"""Trainings in processes of their own, forked from one that has imported all: what is started, killed, and left."""

import os
import signal
import time
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

from mmengine.fileio import LocalBackend

from convnext_dense.cli.main import main

SHARED_MEMORY = Path('/dev/shm')
# In how many pieces a slow process writes a file, and how long it waits after each.
PIECES, PIECE_SECONDS = 20, 0.02


class Child:
    """A training that runs in a process of its own, with the process group of it and of its workers.

    Args:
        arguments: Those of ``convnext-dense``.
        folder: Where it runs; what it prints is appended to ``log.txt`` there.
        is_slow: Whether it takes 0.4 seconds to write a checkpoint.
    """

    def __init__(self, arguments: list[str], folder: Path, is_slow: bool = False) -> None:
        self.process = get_context('fork').Process(target=_train, args=(arguments, folder, is_slow))
        self.process.start()
        self.members = {self.process.pid}

    @property
    def is_running(self) -> bool:
        """Whether the training goes on; notes its workers."""
        self.members |= set(group_members(self.process.pid))
        return self.process.is_alive()

    def kill(self) -> None:
        """Kill the training, and not its workers."""
        self.members |= set(group_members(self.process.pid))
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()

    def leaked_processes(self, seconds: float = 15) -> int:
        """Return how many of its workers are there after some seconds; they are killed then."""
        deadline = time.monotonic() + seconds
        while (members := group_members(self.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for member in members:
            os.kill(member, signal.SIGKILL)
        return len(members)

    def leaked_segments(self) -> int:
        """Return how many segments of shared memory its processes, which are gone, have left. They are removed."""
        # torch_<process>_<random number>_<count>.
        names = [path for path in SHARED_MEMORY.glob('torch_*') if path.name.split('_')[1].isdigit()]
        left = [path for path in names if int(path.name.split('_')[1]) in self.members]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


def group_members(group: int) -> list[int]:
    """Return the processes of a group that are not zombies.

    Args:
        group: The group.
    """
    members = []
    for process in Path('/proc').iterdir():
        if not process.name.isdigit():
            continue
        try:
            state, _, own, *_ = (process / 'stat').read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(own) == group and state != 'Z':
            members.append(int(process.name))
    return members


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process, without the files that it maps: libraries come in page by page.

    Args:
        process: The process.

    Raises:
        ProcessLookupError: If it has ended.
    """
    for line in Path(f'/proc/{process}/status').read_text().splitlines():
        if line.startswith('RssAnon'):
            return int(line.split()[1]) * 1024
    # A process that has ended and whose parent has not asked for its exit code yet: it has no memory.
    raise ProcessLookupError(f'process {process} has ended')


def open_files(process: int) -> int:
    """Return how many files, pipes and sockets a process has open."""
    return len(list(Path(f'/proc/{process}/fd').iterdir()))


def _train(arguments: list[str], folder: Path, is_slow: bool) -> None:
    os.setsid()
    os.chdir(folder)
    log = os.open('log.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    with (
        # Of the seconds that a tiny run takes, most are spent on the layout of the config's text.
        mock.patch('mmengine.config.config.FormatCode', lambda code, **style: (code, True)),
        mock.patch('mmengine.runner.runner.collect_env', dict),
        mock.patch.object(LocalBackend, 'put', _put_slowly) if is_slow else nullcontext(),
    ):
        main(arguments)


def _put_slowly(backend: LocalBackend, content: bytes, path: str | Path) -> None:
    """Write a file in pieces, with pauses."""
    size = -(-len(content) // PIECES)
    with open(path, 'wb') as file:
        for i in range(PIECES):
            file.write(content[i * size : (i + 1) * size])
            file.flush()
            time.sleep(PIECE_SECONDS)
