"""Reads training checkpoints by torch's safe loader (`weights_only=True`), and hands mmengine only what is harmless."""

import argparse
import os
import pickle
from collections.abc import Callable
from numbers import Number
from types import FunctionType
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub

HISTORY_BUFFER_METHODS = ('min', 'max', 'mean', 'current')
ANNEALING_METHODS = ('_annealing_cos', '_annealing_linear')
# Booleans, integers, floats, complex numbers and strings, of all sizes. Objects and records are left out.
NUMPY_CODES = '?bBhHiIlLqQefdgFDGSU'


def allow_mmengine_globals() -> None:
    """Add what mmengine pickles into a checkpoint (log histories in numpy arrays, schedules) to torch's allow-list.

    Resuming and ``load_from`` then work with `weights_only` left on. So do the training checkpoints of the official
    repositories, which hold the arguments of their command line. torch still refuses a checkpoint that pickles anything
    else, such as code, and names it.

    Example:
        >>> from convnext_dense.compat.checkpoint_loading import allow_mmengine_globals
        >>> allow_mmengine_globals()
    """
    # A log has no need of the functions that compute its statistics, and a function cannot be read safely.
    HistoryBuffer.__getstate__ = _history_state
    scheduler = 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'
    torch.serialization.add_safe_globals(
        [
            (_attribute, 'builtins.getattr'),
            (_LoadedHistory, f'{HistoryBuffer.__module__}.HistoryBuffer'),
            (_OneCycle, scheduler),
            *_registered_statistics(),
            argparse.Namespace,
            MessageHub,
            *_numpy_globals(),
        ]
    )


def make_harmless(checkpoint: dict, source: str) -> dict:
    """Take out of a checkpoint what mmengine would run, or delete by its name, when it resumes.

    - ``meta['config']``: `Runner.resume` executes its text, to look for a key that mmengine has not written since 0.1.
    - Paths of checkpoints in ``message_hub``: `CheckpointHook` deletes the file or folder of that name for a better
      one. They must be checkpoints in the folder of this one.

    Args:
        checkpoint: The checkpoint, which is changed.
        source: Where it is from.

    Example:
        >>> make_harmless(dict(meta=dict(epoch=3, config='print("Python")')), 'epoch_3.pth')
        {'meta': {'epoch': 3}}
    """
    if isinstance(meta := checkpoint.get('meta'), dict):
        meta.pop('config', None)
    hub = checkpoint.get('message_hub')
    if isinstance(hub, MessageHub):
        # As mmengine 0.1 saved it.
        names = ('log_scalars', 'runtime_info', 'resumed_keys')
        hub = checkpoint['message_hub'] = {name: hub.__dict__.get(f'_{name}', {}) for name in names}
    info = hub.get('runtime_info') if isinstance(hub, dict) else None
    if isinstance(info, dict):
        for key in [key for key in info if isinstance(key, str)]:
            _make_info_harmless(info, key, os.path.dirname(source))
    return checkpoint


def make_mmengine_harmless() -> None:
    """Pass every checkpoint that mmengine loads, by any of its loaders, through `make_harmless`."""
    from mmengine.runner.checkpoint import CheckpointLoader

    load = CheckpointLoader.load_checkpoint.__func__
    if load.__module__ == __name__:
        return

    def load_checkpoint(cls: type, filename: str, map_location: object = None, logger: object = 'current') -> object:
        checkpoint = load(cls, filename, map_location, logger)
        return make_harmless(checkpoint, filename) if isinstance(checkpoint, dict) else checkpoint

    CheckpointLoader.load_checkpoint = classmethod(load_checkpoint)  # pyrefly: ignore[bad-assignment]


def is_annealing_function(value: object) -> bool:
    """Tell whether a value is one of the two functions that mmengine's OneCycleLR saves.

    Example:
        >>> is_annealing_function(print)
        False
    """
    return isinstance(value, FunctionType) and any(value is getattr(_one_cycle(), name) for name in ANNEALING_METHODS)


class _LoadedHistory(HistoryBuffer):
    """Takes the place of HistoryBuffer while a pickle is read: its values are read, and nothing else."""

    def __init__(self, *_: object) -> None:
        # A pickle of mmengine's makes one by `__new__`. A call could make an array of lists of lists.
        raise pickle.UnpicklingError('it holds more than weights, a call of HistoryBuffer')

    def __setstate__(self, state: dict) -> None:
        length = state.get('max_length')
        saved = [state.get(name) for name in ('_log_history', '_count_history')]
        series = [array for array in saved if isinstance(array, np.ndarray) and array.ndim == 1]
        are_numbers = len(series) == len(saved) and all(array.dtype.kind in 'biuf' for array in series)
        if not are_numbers or len(series[0]) != len(series[1]) or type(length) is not int or length < 1:
            raise pickle.UnpicklingError('it holds a log without values, or with others than numbers')
        vars(self).update(_log_history=series[0], _count_history=series[1], max_length=length)
        self.__class__ = HistoryBuffer  # pyrefly: ignore[bad-argument-type]
        self._set_default_statistics()


class _OneCycle:
    """Takes the place of OneCycleParamScheduler while a pickle is read; it cannot be called for one."""

    def __new__(cls, *_: object) -> '_OneCycle':
        raise pickle.UnpicklingError('it holds more than weights, a schedule')


def _attribute(owner: type, name: str) -> Callable | None:
    """Replace `getattr` in a pickle, for mmengine's two uses of it only."""
    if owner is _OneCycle and name in ANNEALING_METHODS:
        return getattr(_one_cycle(), name)
    if owner is _LoadedHistory and name in HISTORY_BUFFER_METHODS:
        # `_LoadedHistory` takes no functions.
        return None
    raise pickle.UnpicklingError(f'it holds more than weights, the attribute {name!r} of a class')


def _one_cycle() -> type:
    # Imported here: mmengine.optim is imported only by those who train.
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    return OneCycleParamScheduler


def _history_state(self: HistoryBuffer) -> dict:
    return {name: value for name, value in vars(self).items() if name != 'statistics_methods'}


def _registered_statistics() -> list[tuple[Callable, str]]:
    """Return the functions that this process has registered: a checkpoint may name them, and cannot call them."""
    return [
        (_refuse_call, f'{method.__module__}.{method.__qualname__}')
        for name, method in HistoryBuffer._statistics_methods.items()
        if name not in HISTORY_BUFFER_METHODS and isinstance(method, FunctionType)
    ]


def _refuse_call(*_: object) -> None:
    raise pickle.UnpicklingError('it holds more than weights, a call of a function')


def _numpy_globals() -> list[Callable | tuple[Callable, str]]:
    # The functions that unpickle an array and a scalar. numpy 2 renamed their module.
    functions: list[Any] = [np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    names = [
        (function, f'{module}.{function.__name__}')
        for function in functions
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
    ]
    return [np.ndarray, np.dtype, *(type(np.dtype(code)) for code in NUMPY_CODES), *names]


def _make_info_harmless(info: dict, key: str, folder: str) -> None:
    value = info[key]
    if key == 'last_ckpt' or key.startswith('best_ckpt'):
        name = os.path.basename(value) if isinstance(value, str) else ''
        path = os.path.join(folder, name)
        is_checkpoint = key == 'last_ckpt' or name.startswith('best_')
        if value is not None and (not name or not is_checkpoint or os.path.isdir(path)):
            del info[key]
        elif value is not None:
            info[key] = path
    elif key.startswith('best_score'):
        if not isinstance(value, Number | np.generic | torch.Tensor):
            del info[key]
    elif key == 'keep_ckpt_ids' and not (isinstance(value, list) and all(type(step) is int for step in value)):
        del info[key]
