"""Reads files that strangers name: a pipe would be waited for without end, and a device has none."""

import errno
import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFIFO: 'a named pipe',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
    stat.S_IFSOCK: 'a socket',
}


def special_kind(path: str | Path) -> str:
    """Return what is at a path that is neither a file nor a folder, nor a link to one; '' otherwise.

    Args:
        path: The path. There may be nothing.

    Example:
        >>> special_kind('/dev/null'), special_kind('setup.cfg'), special_kind('no-such-file')
        ('a device', '', '')
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ''
    return KINDS.get(stat.S_IFMT(mode), '')


def refuse_special(path: str | Path) -> None:
    """Raise OSError if there is something else than a file or a folder at a path.

    Args:
        path: The path. There may be nothing.

    Example:
        >>> refuse_special('/dev/zero')
        Traceback (most recent call last):
        ...
        OSError: [Errno 22] it is a device, and no file: '/dev/zero'
    """
    if kind := special_kind(path):
        raise OSError(errno.EINVAL, f'it is {kind}, and no file', str(path))


def read_bytes(path: str | Path) -> bytes:
    """Return a file's content.

    Raises:
        OSError: If it cannot be read, or is no file.

    Example:
        >>> read_bytes('setup.cfg')[:10]
        b'[metadata]'
    """
    refuse_special(path)
    return Path(path).read_bytes()


def read_text(path: str | Path, errors: str = 'strict') -> str:
    """Return the text of a file in UTF-8, without the mark that some editors put before it.

    Args:
        path: The file.
        errors: What is done with bytes that are no text, as `open` takes it.

    Raises:
        OSError: If it cannot be read, or is no file.
        UnicodeDecodeError: If it is no text.

    Example:
        >>> read_text('setup.cfg').splitlines()[0]
        '[metadata]'
    """
    refuse_special(path)
    return Path(path).read_text(encoding='utf-8-sig', errors=errors)
