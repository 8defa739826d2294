"""The folder of this user's cache: who may write to it, one writer at a time, and what is deleted."""

import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock
from mmengine.logging import print_log

# The environment variable that moves the cache.
VARIABLE = 'CONVNEXT_DENSE_CACHE'
PRIVATE = 0o700
UNFINISHED = '.unfinished'
NAME = re.compile(r'[a-z]+-[0-9a-f]{16}-[0-9a-f]{16}(\.json|\.lock|)(\.\d+\.unfinished)?')
# What no run has read for so long is deleted. A run that goes on may still read what it has opened.
KEPT_SECONDS = 14 * 24 * 3600
# What a writer that was killed has left.
UNFINISHED_SECONDS = 24 * 3600
# How long another process is waited for that reads the same annotations.
WAIT_SECONDS = 900


def cache_folder(name: str = 'annotations', otherwise: str = 'annotations are read again in each run') -> Path | None:
    """Return a folder of the cache, which is made if need be; None if there can be none, or others could write to it.

    What is kept there is run as it is read, so it must be this user's own: it is in ``convnext_dense`` in
    ``$XDG_CACHE_HOME``, or else in ``~/.cache``, and never a part of a dataset or of a work dir, which may come from
    others.

    Args:
        name: The folder's name.
        otherwise: What happens if others could write to it, for the warning.

    Example:
        >>> cache_folder().name  # doctest: +SKIP
        'annotations'
    """
    place = os.environ.get(VARIABLE) or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'convnext_dense'
    )
    folder = Path(place, name).absolute()
    try:
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    if hasattr(os, 'getuid') and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        _warn_once(str(folder), otherwise)
        return None
    return folder if os.access(folder, os.W_OK) else None


@cache
def _warn_once(folder: str, otherwise: str) -> None:
    print_log(
        f'{folder} belongs to another user, or others can write to it, so it is not used, and {otherwise}; {VARIABLE} '
        'names another folder.',
        logger='current',
        level=logging.WARNING,
    )


@contextmanager
def alone(lock: Path) -> Generator[None]:
    """Wait until no other process is in such a block. Where a file system has no locks, none is waited for.

    Args:
        lock: A file of the cache.

    Example:
        >>> import tempfile
        >>> with alone(Path(tempfile.mkdtemp(), 'lock')):
        ...     print('the work')
        the work
    """
    held = FileLock(lock, timeout=WAIT_SECONDS)
    # A timeout is an OSError, too.
    with suppress(OSError, NotImplementedError):
        held.acquire()
    try:
        yield
    finally:
        held.release()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and delete what is old in its folder. A full disk is no error.

    Args:
        path: A file of the cache.
        content: What is in it.
    """
    unfinished = unfinished_name(path)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        delete(unfinished)
    delete_old(path.parent)


def unfinished_name(path: Path) -> Path:
    """Return where this process writes what is then renamed.

    Example:
        >>> unfinished_name(Path('a.json')).name.startswith('a.json.')
        True
    """
    return path.with_name(f'{path.name}.{os.getpid()}{UNFINISHED}')


def mark_used(path: Path) -> None:
    """Keep a file or folder of the cache from being deleted as old."""
    with suppress(OSError):
        os.utime(path)


def delete_old(folder: Path) -> None:
    """Delete what no run has read for long. Files of other names stay.

    Args:
        folder: The cache.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if NAME.fullmatch(path.name):
                age = time.time() - path.lstat().st_mtime
                if age > (UNFINISHED_SECONDS if path.name.endswith(UNFINISHED) else KEPT_SECONDS):
                    delete(path)


def delete(path: Path) -> None:
    """Delete a file or a folder, if it is there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
