"""Says what is wrong with a file that cannot be read as an image."""

import errno
import os
import re
from pathlib import Path

from convnext_dense.datasets.images.tiff import has_tifffile
from convnext_dense.errors import SampleError, UsageError
from convnext_dense.regular_files import special_kind

# What separates an address such as s3://bucket/a.png from a path on this machine.
ADDRESS_MARK = '://'
# What the machine lacks, and no file: memory, or open files.
OF_MACHINE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def unreadable(file: object, error: Exception) -> UsageError:
    """Return the error that names a file that cannot be read, and why: a SampleError if it is the file's fault.

    Args:
        file: The file, as the dataset names it.
        error: What reading it raised.

    Example:
        >>> str(unreadable('images/1.jpg', FileNotFoundError()))
        'images/1.jpg: there is no such file.'
    """
    if isinstance(error, UsageError):
        return error
    is_of_machine = isinstance(error, MemoryError) or getattr(error, 'errno', None) in OF_MACHINE
    return (UsageError if is_of_machine else SampleError)(f'{file}: {_reason(str(file), error)}.')


def is_here(file: str | None) -> bool:
    """Return whether a name is a path, as opposed to an address.

    Example:
        >>> is_here('/images/1.jpg'), is_here('s3://images/1.jpg'), is_here(None)
        (True, False, False)
    """
    return bool(file) and ADDRESS_MARK not in file


def _may_need_tifffile(file: str) -> bool:
    return file.lower().endswith(('.tif', '.tiff')) and not has_tifffile()


def _reason(file: str, error: Exception) -> str:
    if is_here(file):
        path = Path(file)
        # Path.exists raises for names that are too long.
        if isinstance(error, FileNotFoundError) or not os.path.exists(file):
            return 'there is no such file'
        if kind := special_kind(path):
            return f'it is {kind}, where a file is expected'
        if path.is_dir():
            return 'it is a folder, where an image is expected'
        if path.is_file() and path.stat().st_size == 0:
            return 'the file is empty'
    text = str(error)
    if 'CV_IO_MAX_IMAGE_PIXELS' in text or type(error).__name__ == 'DecompressionBombError':
        return 'it has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS allows; cut it into tiles, or raise that variable'
    if isinstance(error, AssertionError) or 'cannot identify image file' in text:
        many = (
            ', or a TIFF of more than 4 channels, which the package tifffile reads' if _may_need_tifffile(file) else ''
        )
        return f'it cannot be decoded as an image: it is cut off, damaged, or something else{many}'
    text = re.sub(r'\s+', ' ', text).strip().rstrip('.')
    return f'it cannot be read: {type(error).__name__}: {text}'
