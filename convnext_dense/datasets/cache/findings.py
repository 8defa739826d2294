"""Keeps what was found in a large file."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from convnext_dense.datasets.cache.folder import alone, cache_folder, mark_used, write_whole
from convnext_dense.datasets.cache.keys import UnplainError, entry_name, large_stamp, stamp_of

Found = TypeVar('Found')


def remember(
    kind: str,
    what: object,
    file: Path,
    form: Any,  # noqa: ANN401 - a type, or a union of types
    find: Callable[[], Found],
    is_valid: Callable[[Found], bool] = lambda found: True,
) -> Found:
    """Return what is found in a file: what an earlier run found, unless the file is small or has changed since.

    Args:
        kind: What is found, a word.
        what: What it depends on besides the file. If that is no plain data, nothing is kept.
        file: The file.
        form: The type of what is found, which msgspec can read from JSON.
        find: Looks into the file. What it raises is not kept.
        is_valid: Whether what an earlier run found still holds.

    Example:
        >>> remember('lines', None, Path('README.md'), int, lambda: 7)
        7
    """
    stamp, folder = large_stamp(file), cache_folder()
    if stamp is None or folder is None:
        return find()
    try:
        name = entry_name(kind, what, stamp)
    except UnplainError:
        return find()
    path = folder / f'{name}.json'
    with alone(folder / f'{name}.lock'):
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=form)
            if is_valid(kept):
                mark_used(path)
                return kept
        # Not there yet, or not what was written.
        except (OSError, ValueError, msgspec.MsgspecError):
            pass
        found = find()
        # A file that has changed while it was read may be half one and half the other.
        if stamp_of(file) == stamp:
            # What JSON has no form for, such as the number 2 ** 70, is found again.
            with suppress(TypeError, ValueError, OverflowError, msgspec.MsgspecError):
                write_whole(path, msgspec.json.encode(found))
    return found
