"""Verifies that a checkpoint's bytes are those that were written."""

import functools
import os
import zipfile
import zlib
from pathlib import Path

from convnext_dense.errors import CheckpointError

BLOCK = 2**20


def verify_checksums(path: str | Path) -> None:
    """Raise CheckpointError if bytes of a checkpoint have changed since it was written.

    PyTorch's files are archives with a CRC-32 of every record, which PyTorch writes and does not look at when it reads.
    Files without them pass: of safetensors, of PyTorch before 1.6, and addresses.

    Args:
        path: The file, which is read once as a whole. If it stays as it is, it is not read again.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.NamedTemporaryFile(suffix='.pth') as file:
        ...     torch.save({'norm.bias': torch.ones(2)}, file.name)
        ...     verify_checksums(file.name)
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file() or not zipfile.is_zipfile(path):
        return
    state = path.stat()
    if record := _damaged_record(path, state.st_mtime_ns, state.st_size):
        raise CheckpointError(f'the checkpoint {path} is damaged: the checksum of {record} in it is wrong.')


@functools.lru_cache(maxsize=16)
def _damaged_record(path: Path, modified: int, size: int) -> str:
    """Return the name of the first record that is damaged, or ''."""
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            # PyTorch writes 0 where it was told to compute none.
            if record.CRC and not _is_whole(archive, record):
                return record.filename
    return ''


def _is_whole(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(record) as file:
            while file.read(BLOCK):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        return False
    return True
