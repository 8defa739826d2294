"""Refuses checkpoints that are made to exhaust whoever looks through them: what they hold, how deep, and how large."""

import os
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

from convnext_dense.compat.checkpoint_loading import is_annealing_function

# Real checkpoints nest ten deep, and hold some 10,000 values besides strings and numbers.
MAX_DEPTH = 100
MAX_VALUES = 1_000_000
MAX_NAME = 1000
# Tensors may share memory, such as tied weights. Beyond this, they claim more than the file has.
MAX_SHARED = 1.5
SLACK_BYTES = 16 * 2**20
CODE = (type, FunctionType, BuiltinFunctionType, MethodType)


def check_archive(path: Path) -> None:
    """Raise UnpicklingError if a zip file unpacks to more than its own size. PyTorch never compresses.

    Args:
        path: A file in PyTorch's format.

    Raises:
        BadZipFile, NotImplementedError: If zipfile cannot read it. PyTorch reads some files that zipfile refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     torch.save({}, file.name)
        ...     check_archive(Path(file.name))
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(record.file_size for record in archive.infolist())
    size = os.path.getsize(path)
    if unpacked > size:
        raise pickle.UnpicklingError(f'it has {_mb(size)} and unpacks to {_mb(unpacked)}, which PyTorch never writes')


def check_content(content: object, size: int | None = None) -> None:
    """Raise UnpicklingError if a checkpoint's content could exhaust or mislead whoever looks through it.

    Args:
        content: What a file holds.
        size: The file's size in bytes, if known: its tensors must not claim more.

    Raises:
        UnpicklingError: If it contains itself, is nested too deep, has too many values, holds functions or classes, or
            tensors that are larger than the file.

    Example:
        >>> content = {}
        >>> content['state_dict'] = content
        >>> check_content(content)
        Traceback (most recent call last):
            ...
        _pickle.UnpicklingError: it contains itself, or is nested more than 100 deep
    """
    sizes: dict[tuple, int] = {}
    values = 0
    level = [content]
    # Level by level, and not by recursion, which Python limits. What is met twice counts twice, as for all who flatten.
    for _ in range(MAX_DEPTH):
        below = []
        for value in level:
            below += _parts(value, sizes)
            if values + len(below) > MAX_VALUES:
                raise pickle.UnpicklingError(f'it contains itself, or more than {MAX_VALUES:,} values')
        values += len(below)
        level = below
        if not level:
            break
    else:
        raise pickle.UnpicklingError(f'it contains itself, or is nested more than {MAX_DEPTH} deep')
    claimed = sum(sizes.values())
    if size is not None and claimed > MAX_SHARED * size + SLACK_BYTES:
        raise pickle.UnpicklingError(f'it has {_mb(size)}, and its tensors claim {_mb(claimed)}')


def _parts(value: object, sizes: dict[tuple, int]) -> list:
    """Return what a value contains, and note what a tensor or an array claims of memory."""
    parts: list = []
    if isinstance(value, Mapping):
        parts += [part for part in value.values() if not isinstance(part, str | int | float)]
        parts += [key for key in value if not isinstance(key, str | int | float)]
        if longest := max((len(key) for key in value if isinstance(key, str) and len(key) > MAX_NAME), default=0):
            raise _not_weights(f'a name of {longest:,} characters')
        if isinstance(value, OrderedDict):
            # PyTorch keeps the version of each module there; any other name could hide a method.
            if vars(value).keys() - {'_metadata'} or not isinstance(getattr(value, '_metadata', {}), Mapping):
                raise _not_weights(', '.join(map(repr, vars(value))))
            parts += vars(value).values()
    elif isinstance(value, list | tuple | set):
        parts += [part for part in value if not isinstance(part, str | int | float)]
    elif isinstance(value, Tensor):
        parts += vars(value).values()
        if value.layout is not torch.strided or value.is_nested or value.is_meta or value.is_quantized:
            raise _not_weights('a tensor that is sparse, nested, quantized or without values')
        view = value.untyped_storage().data_ptr(), value.storage_offset(), value.shape, value.stride(), value.dtype
        sizes[view] = value.numel() * value.element_size()
    elif isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise _not_weights('an array of objects')
        sizes[(id(value),)] = value.nbytes
    elif isinstance(value, HistoryBuffer):
        if type(value) is not HistoryBuffer:
            raise _not_weights('a log without values')
        parts += value.data
    elif isinstance(value, Namespace | MessageHub):
        parts += vars(value).values()
    elif isinstance(value, CODE) and not is_annealing_function(value):
        raise _not_weights(repr(value))
    return parts


def _not_weights(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f'it holds more than weights, {what}')


def _mb(size: int) -> str:
    return f'{size / 1e6:.1f} MB'
