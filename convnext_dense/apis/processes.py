"""Starts a command of this package in processes of its own."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from convnext_dense.errors import RunError

# How many of a log's last lines an error shows.
SHOWN_LINES = 15
# How often the log is read, in seconds.
POLL_SECONDS = 0.2


def launch(
    arguments: Sequence[str], log: Path, processes: int = 0, on_line: Callable[[str], None] | None = None
) -> None:
    """Run ``convnext-dense ARGUMENTS`` to its end, and write all that it prints to a file.

    If this process is interrupted or terminated, the command ends with it.

    Args:
        arguments: The command and its arguments, such as ``['train', 'my_config.py']``.
        log: The file, to which the output is appended.
        processes: How many processes to run on this machine by PyTorch's distributed launcher; 0 for one without it.
        on_line: Called with each line that is printed.

    Raises:
        RunError: If the command fails. The message has the last lines of its log.
        KeyboardInterrupt: If this process is interrupted or terminated.

    Example:
        >>> import tempfile
        >>> log = Path(tempfile.mkdtemp(), 'help.log')
        >>> launch(['--help'], log)
        >>> log.read_text().split()[1]
        'convnext-dense'
    """
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}'] if processes else []
    suffix = ['--launcher', 'pytorch'] if processes else []
    command = [sys.executable, *launcher, '-m', 'convnext_dense', *arguments, *suffix]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a') as file, log.open(errors='replace') as lines, _interrupted_by_sigterm():
        lines.seek(0, 2)
        # Its output goes to the file, not through this process, which may end first.
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                _read_lines(lines, on_line)
            _read_lines(lines, on_line)
        finally:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        last = ''.join(log.read_text(errors='replace').splitlines(keepends=True)[-SHOWN_LINES:])
        raise RunError(f'{arguments[0]} stopped with status {process.returncode}; its log is {log} and ends in\n{last}')


def _read_lines(file: TextIO, on_line: Callable[[str], None] | None) -> None:
    """Pass on the whole lines that were written since."""
    while True:
        start = file.tell()
        line = file.readline()
        if not line.endswith('\n'):
            file.seek(start)
            return
        if on_line:
            on_line(line)


@contextmanager
def _interrupted_by_sigterm() -> Generator[None]:
    """Make a request to terminate end this process as an interrupt does. Only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
