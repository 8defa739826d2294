"""Lets torch's safe loader (`weights_only=True`, the default since torch 2.6) read training checkpoints."""

import argparse
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub

HISTORY_BUFFER_METHODS = ('min', 'max', 'mean', 'current')


def allow_mmengine_globals() -> None:
    """Add what mmengine pickles into a checkpoint (log histories in numpy arrays) to torch's allow-list.

    Resuming and ``load_from`` then work with `weights_only` left on. So do the training checkpoints of the official
    repositories, which hold the arguments of their command line. torch still refuses a checkpoint that pickles anything
    else, such as code, and names it.

    Example:
        >>> from convnext_dense.compat.checkpoint_loading import allow_mmengine_globals
        >>> allow_mmengine_globals()
    """
    torch.serialization.add_safe_globals(
        [
            (_history_buffer_method, 'builtins.getattr'),
            argparse.Namespace,
            HistoryBuffer,
            MessageHub,
            *_numpy_globals(),
        ]
    )


def _numpy_globals() -> list[Callable | tuple[Callable, str]]:
    dtypes = ('bool', 'uint8', 'int32', 'int64', 'float16', 'float32', 'float64', 'str')
    # The functions that unpickle an array and a scalar. numpy 2 renamed their module.
    functions: list[Any] = [np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    names = [
        (function, f'{module}.{function.__name__}')
        for function in functions
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
    ]
    return [np.ndarray, np.dtype, *(type(np.dtype(name)) for name in dtypes), *names]


def _history_buffer_method(owner: type, name: str) -> Callable:
    """Replace `getattr` in a pickle, for mmengine's one use of it only."""
    if owner is not HistoryBuffer or name not in HISTORY_BUFFER_METHODS:
        raise pickle.UnpicklingError(
            f'the checkpoint asks for the attribute {name!r} of {owner!r}; '
            f"only HistoryBuffer's {', '.join(HISTORY_BUFFER_METHODS)} are allowed."
        )
    return getattr(owner, name)
