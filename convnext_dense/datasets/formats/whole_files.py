"""Writes files whole or not at all."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from convnext_dense.errors import UsageError


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file, and its folder, unless it has this content already.

    Other processes of the same run may read it, and write the same, at any time.

    Args:
        file: The file.
        content: A text, or bytes.

    Raises:
        UsageError: If it cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), 'names.txt')
        >>> write_whole(file, 'cat')
        >>> file.read_text()
        'cat'
    """
    unfinished = file.with_name(f'{file.name}.{os.getpid()}')
    raw = content.encode('utf-8', 'surrogateescape') if isinstance(content, str) else content
    try:
        if file.is_file() and file.read_bytes() == raw:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(raw)
        unfinished.replace(file)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise UsageError(f'work_dir: {file} cannot be written: {error.strerror}.') from error


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Make a folder, and keep other processes that do the same out of it.

    Raises:
        UsageError: If it cannot be made, or not be written to.

    Example:
        >>> import tempfile
        >>> with locked_folder(Path(tempfile.mkdtemp(), 'a')):
        ...     print('one process at a time')
        one process at a time
    """
    make_folder(folder)
    lock = FileLock(folder / 'lock')
    try:
        lock.acquire()
    except OSError as error:
        raise UsageError(f'work_dir: {folder} cannot be written to: {error.strerror}.') from error
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, unless they are there.

    Raises:
        UsageError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'work_dir: {folder} cannot be made: {error.strerror}.') from error


def size_and_time(path: Path) -> tuple[int, int] | None:
    """Return a file's size in bytes and when it was changed, in nanoseconds; None if it is not there.

    Example:
        >>> size_and_time(Path('no-such.png')) is None
        True
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
