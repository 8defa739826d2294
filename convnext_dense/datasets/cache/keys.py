"""What tells entries of the cache apart: what they were made of, and by which versions."""

import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import Any

from convnext_dense.version import __version__

# A file that is smaller is read again, in less than a second.
LARGE_BYTES = 8 * 2**20

Stamp = tuple[str, int, int, int]


class UnplainError(TypeError):
    """A value that is no plain data, so that another cannot be compared with it."""


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes with a file's content: its place, size and times; None if there is no such file.

    Example:
        >>> stamp_of(Path('no-such.json')) is None
        True
    """
    try:
        found = path.stat()
        return str(path.resolve()), found.st_size, found.st_mtime_ns, found.st_ctime_ns
    except OSError:
        return None


def large_stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file that is so large that what was read of it is worth keeping, or None."""
    stamp = stamp_of(path) if path.is_file() else None
    return stamp if stamp and stamp[1] >= LARGE_BYTES else None


def entry_name(kind: str, what: object, stamp: Stamp) -> str:
    """Return the name of an entry.

    Args:
        kind: What is kept, a word.
        what: Plain data that it depends on.
        stamp: The stamp of the file that it depends on.

    Raises:
        UnplainError: If `what` is no plain data.

    Example:
        >>> len(entry_name('coco', dict(classes=['cat']), ('a.json', 1, 2, 3)))
        38
    """
    made_by = (__version__, _code_stamp(), platform.python_version())
    return '-'.join([kind, *(_digest(plain_text(part)) for part in ([kind, what, stamp[0]], [made_by, stamp]))])


def plain_text(value: Any) -> str:  # noqa: ANN401 - anything
    """Return a text that is the same for equal plain data, and differs otherwise.

    Args:
        value: None, truth values, numbers, texts, lists, tuples and dicts with such.

    Raises:
        UnplainError: If it is something else.

    Example:
        >>> plain_text(dict(b=(1.0, None), a=['x']))
        "{'a': ['x'], 'b': (1.0, None)}"
    """
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    if isinstance(value, dict):
        items = sorted((plain_text(key), plain_text(part)) for key, part in value.items())
        return '{' + ', '.join(f'{key}: {part}' for key, part in items) + '}'
    if type(value) is list:
        return '[' + ', '.join(map(plain_text, value)) + ']'
    if type(value) is tuple:
        return '(' + ', '.join(map(plain_text, value)) + ')'
    raise UnplainError(f'{type(value).__name__} is no plain data')


@cache
def _code_stamp() -> tuple[int, int]:
    """Return what changes with this package's code, whose rules what is kept was made by."""
    found = [path.stat() for path in Path(__file__).parents[2].rglob('*.py')]
    return sum(entry.st_size for entry in found), max(entry.st_mtime_ns for entry in found)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()
