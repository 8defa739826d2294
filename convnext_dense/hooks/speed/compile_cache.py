"""Keeps what a compile that was killed has left from ending every later run.

PyTorch keeps compiled code in files of a cache, and takes a file that is there for a whole one. The compilers write in
place, so a run that is killed leaves half a file. To load it ends in an ImportError, or in SIGBUS, which nothing
catches.
"""

import logging
import os
import re
import struct
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from mmengine.logging import print_log

from convnext_dense.datasets.cache.folder import cache_folder

VARIABLE = 'TORCHINDUCTOR_CACHE_DIR'
# What compilers and linkers write in place. PyTorch itself writes another file, and renames it.
COMPILED = ('.so', '.o')
ELF = b'\x7fELF'
ELF_HEADER = 64
# PyTorch's names of files: a hash of their content.
KEY = re.compile(r'\bc[a-z2-7]{51}\b')
# What loading or using half a file raises: a library, generated Python, a precompiled header, an object file.
BROKEN = re.compile(
    r'ImportError|SyntaxError|AttributeError: module|PCH|\.gch|file (truncated|not recognized|too short)'
)
# Keys of files that were deleted for an error of this process.
_recovered: set[str] = set()


def prepare_cache() -> Path:
    """Give PyTorch's cache a place of this user's own, unless the variable names one, and delete its half files.

    Example:
        >>> prepare_cache()  # doctest: +SKIP
        PosixPath('/home/me/.cache/convnext_dense/compiled')
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # PyTorch sets the variable to its own place when it is first asked for it.
    is_default = os.environ.get(VARIABLE, '') in ('', os.path.abspath(default_cache_dir()))
    if is_default and (own := cache_folder('compiled', "PyTorch's own place is")):
        os.environ[VARIABLE] = str(own)
    folder = _folder()
    print_log(f'compile: what is compiled is kept in {folder}; {VARIABLE} names another place.', logger='current')
    if deleted := list(_delete_half_files(folder)):
        _warn(deleted)
    return folder


def recover_cache(error: BaseException) -> bool:
    """Delete the files of the cache that an error names, and make PyTorch compile again, if half a file caused it.

    Args:
        error: What compiling raised.

    Returns:
        Whether there were such files. A file that is broken twice is no half file, and stays.

    Example:
        >>> recover_cache(ZeroDivisionError())
        False
    """
    messages, cause = '', error
    while cause is not None:
        messages += f'{type(cause).__name__}: {cause}\n'
        cause = cause.__cause__ or cause.__context__
    if not BROKEN.search(messages):
        return False
    # Generated Python may be named as a place in the code alone.
    keys = set(KEY.findall(''.join(traceback.format_exception(error)))) - _recovered
    deleted = [path for key in sorted(keys) for path in _files_of(key) if _delete(path)]
    if not deleted:
        return False
    _recovered.update(keys)
    _warn(deleted)
    # Imported here because it loads all of torch._inductor.
    from torch._inductor.utils import clear_inductor_caches

    torch._dynamo.reset()
    clear_inductor_caches()
    return True


def is_whole(file: Path) -> bool:
    """Return whether a library or object file has all that its header says. What is no ELF file is not judged.

    Args:
        file: The file. One without a header, or of zeros, is not whole.

    Example:
        >>> is_whole(Path(torch._C.__file__))
        True
    """
    with open(file, 'rb') as stream:
        start = stream.read(ELF_HEADER)
        size = os.fstat(stream.fileno()).st_size
    if len(start) < ELF_HEADER or not start.strip(b'\0'):
        return False
    if start[:4] != ELF or start[4] != 2:
        # macOS has Mach-O.
        return True
    order = '<' if start[5] == 1 else '>'
    (sections,) = struct.unpack_from(f'{order}Q', start, 40)
    entry_size, count = struct.unpack_from(f'{order}HH', start, 58)
    # The linker writes the table of sections last.
    return 0 < sections <= size - entry_size * count


def _delete_half_files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            with suppress(OSError):
                if name.endswith(COMPILED) and not is_whole(file) and _delete_unless_locked(file, folder):
                    yield file


def _delete_unless_locked(file: Path, folder: Path) -> bool:
    """Delete a file, unless another process is writing it now."""
    locks = folder / 'locks'
    locks.mkdir(exist_ok=True)
    try:
        with FileLock(locks / f'{file.name.partition(".")[0]}.lock', timeout=0):
            return not is_whole(file) and _delete(file)
    except Timeout:
        return False


def _files_of(key: str) -> Iterator[Path]:
    from torch._inductor import codecache

    folder = _folder()
    yield from sorted(folder.glob(f'{key[1:3]}/{key}*'))
    # Precompiled headers have a folder of their own. The header itself is written once in a process.
    yield from sorted(Path(getattr(codecache, '_HEADER_DIR', folder)).glob(f'{key}*.gch'))


def _folder() -> Path:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return Path(cache_dir())


def _warn(deleted: list[Path]) -> None:
    files = f'{deleted[0]}{f" and {len(deleted) - 1} more" if len(deleted) > 1 else ""}'
    print_log(
        f'compile: a compile that was killed has left {files}, not whole; deleted, and compiled again.',
        logger='current',
        level=logging.WARNING,
    )


def _delete(path: Path) -> bool:
    with suppress(OSError):
        path.unlink()
        return True
    return False
