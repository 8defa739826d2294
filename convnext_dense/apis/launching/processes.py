"""Starts commands of this package in processes of their own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from convnext_dense.errors import RunError

# How many of a log's last lines an error shows.
SHOWN_LINES = 15
# How often the log is read, in seconds.
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Command:
    """A command of this package.

    Args:
        arguments: The command and its arguments, such as ``['train', 'my_config.py']``.
        log: The file to which all that it prints is appended.
        processes: How many processes to run on this machine by PyTorch's distributed launcher; 0 for one without it.
        on_line: Called with each line that is printed.
    """

    arguments: Sequence[str]
    log: Path
    processes: int = 0
    on_line: Callable[[str], None] = lambda line: None


def launch(*commands: Command) -> list[float]:
    """Run commands at the same time, to their end.

    If this process is interrupted or terminated, or one of them fails, all end. Several commands share the processor's
    cores evenly, unless ``OMP_NUM_THREADS`` is set.

    Args:
        commands: The commands.

    Returns:
        The seconds that each took.

    Raises:
        RunError: If a command fails. The message has the last lines of its log.
        KeyboardInterrupt: If this process is interrupted or terminated.

    Example:
        >>> import tempfile
        >>> log = Path(tempfile.mkdtemp(), 'help.log')
        >>> seconds = launch(Command(['--help'], log))
        >>> log.read_text().split()[1]
        'convnext-dense'
    """
    environment = dict(os.environ)
    if len(commands) > 1:
        environment.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // len(commands))))
    with interrupted_by_sigterm(), ExitStack() as running:
        processes = [running.enter_context(_started(command, environment)) for command in commands]
        while any([process.is_running() for process in processes]):
            time.sleep(POLL_SECONDS)
    return [process.seconds for process in processes]


class _Process:
    """A command that was started."""

    def __init__(self, command: Command, popen: subprocess.Popen, lines: TextIO) -> None:
        self.command, self.popen, self.lines = command, popen, lines
        self.start = time.monotonic()
        self.seconds = 0.0

    def is_running(self) -> bool:
        """Pass on what was printed since, and tell whether it goes on. Raises RunError if it has failed."""
        running = self.popen.poll() is None
        if not running and not self.seconds:
            self.seconds = time.monotonic() - self.start
        _read_lines(self.lines, self.command.on_line)
        if self.popen.returncode:
            log = self.command.log
            last = ''.join(log.read_text(errors='replace').splitlines(keepends=True)[-SHOWN_LINES:])
            name = self.command.arguments[0]
            raise RunError(f'{name} stopped with status {self.popen.returncode}; its log is {log} and ends in\n{last}')
        return running


@contextmanager
def _started(command: Command, environment: dict[str, str]) -> Generator[_Process]:
    """Start a command, and end it at the latest when the block is left."""
    count = command.processes
    launcher = (
        ['-m', 'convnext_dense.apis.launching.torchrun', '--standalone', f'--nproc_per_node={count}'] if count else []
    )
    suffix = ['--launcher', 'pytorch'] if count else []
    words = [sys.executable, *launcher, '-m', 'convnext_dense', *command.arguments, *suffix]
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open('a') as file, command.log.open(errors='replace') as lines:
        lines.seek(0, 2)
        # Its output goes to the file, not through this process, which may end first.
        popen = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            yield _Process(command, popen, lines)
        finally:
            popen.terminate()
            popen.wait()


def _read_lines(file: TextIO, on_line: Callable[[str], None]) -> None:
    """Pass on the whole lines that were written since."""
    while True:
        start = file.tell()
        line = file.readline()
        if not line.endswith('\n'):
            file.seek(start)
            return
        on_line(line)


@contextmanager
def interrupted_by_sigterm() -> Generator[None]:
    """Make a request to terminate end this process as an interrupt does. Only the main thread can.

    Example:
        >>> with interrupted_by_sigterm():
        ...     print('the work')
        the work
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
