"""Starts a command of this package in processes of its own."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from convnext_dense.errors import UsageError

# How many of a log's last lines an error shows.
SHOWN_LINES = 15


def launch(
    arguments: Sequence[str], log: Path, processes: int = 0, on_line: Callable[[str], None] | None = None
) -> None:
    """Run ``convnext-dense ARGUMENTS`` to its end, and write all that it prints to a file.

    However this process ends, the command ends with it.

    Args:
        arguments: The command and its arguments, such as ``['train', 'my_config.py']``.
        log: The file, to which the output is appended.
        processes: How many processes to run on this machine by PyTorch's distributed launcher; 0 for one without it.
        on_line: Called with each line that is printed.

    Raises:
        UsageError: If the command fails. The message has the last lines of its log.

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
    with log.open('a') as file:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace'
        )
        try:
            assert process.stdout
            for line in process.stdout:
                file.write(line)
                file.flush()
                if on_line:
                    on_line(line)
            status = process.wait()
        finally:
            process.terminate()
            process.wait()
    if status != 0:
        last = ''.join(log.read_text(errors='replace').splitlines(keepends=True)[-SHOWN_LINES:])
        raise UsageError(f'{arguments[0]} stopped with status {status}; its log is {log} and ends in\n{last}')
