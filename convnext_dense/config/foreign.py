"""Reads and builds from a config of unknown origin, as data."""

import ast
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import mock

from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE
from convnext_dense.weights.matching import printable

# Whose registries are imported for a type such as `mmdet.ResNet`.
SCOPES = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', SCOPE)
UNWRITABLE = frozenset('\'"\\\n\r')
# What makes a model fetch or read weights.
WEIGHTS = ('init_cfg', 'pretrained', 'checkpoint')


@contextmanager
def registered_types_only() -> Generator[None]:
    """Build only what OpenMMLab's and this package's registries hold while the block runs.

    mmengine otherwise imports whatever a `type` names, such as ``os.system``, and a module for its scope.

    Example:
        >>> from mmengine.registry import MODELS
        >>> with registered_types_only():
        ...     MODELS.build(dict(type='os.getcwd'))
        Traceback (most recent call last):
        RuntimeError: Failed to get os.getcwd
    """
    registry = 'mmengine.registry.registry'
    with mock.patch(f'{registry}.get_object_from_string', _refuse), mock.patch(f'{registry}.import_module', _import):
        yield


def without_weights(config: Any) -> Any:  # noqa: ANN401 - any part of a config
    """Return a copy of a model's config that reads no weights from elsewhere.

    Args:
        config: The config of a model, or a part of it.

    Example:
        >>> without_weights(dict(backbone=dict(type='ResNet', init_cfg=dict(type='Pretrained'), pretrained=True)))
        {'backbone': {'type': 'ResNet', 'init_cfg': None, 'pretrained': False}}
    """
    if isinstance(config, Mapping):
        return {
            key: (False if value is True else None) if key in WEIGHTS else without_weights(value)
            for key, value in config.items()
        }
    return type(config)(map(without_weights, config)) if type(config) in (list, tuple) else config


def check_strings(config: Any, source: str, argument: str = 'file') -> None:  # noqa: ANN401 - any part of a config
    """Raise UsageError if a text in a config looks like a call. A few of mmdet's components evaluate their arguments.

    Args:
        config: The config, or a part of it.
        source: Where it is from.
        argument: The argument that it was given as.

    Example:
        >>> check_strings(dict(type='CameraMotionCompensation', warp_mode='cv2.MOTION_EUCLIDEAN'), 'step.pt')
        >>> check_strings(dict(type='CameraMotionCompensation', warp_mode='print(1)'), 'step.pt')
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: file: the config in step.pt has a call in a text, print(1); give a config.
    """
    if isinstance(config, Mapping):
        config = [*config, *config.values()]
    if isinstance(config, list | tuple):
        for part in config:
            check_strings(part, source, argument)
    elif isinstance(config, str) and '(' in config:
        raise UsageError(
            f'{argument}: the config in {source} has a call in a text, {printable(config)}; give a config.'
        )


def config_as_data(text: object) -> dict:
    """Read the text of a saved config without running it: assignments of plain values, and of `dict(...)`.

    Other statements are left out.

    Args:
        text: The text, as `Config.pretty_text` is.

    Example:
        >>> config_as_data("lr = 0.1\\nmodel = dict(depth=(1, 2))\\nx = __import__('os').getcwd()")
        {'lr': 0.1, 'model': {'depth': (1, 2)}}
    """
    config = {}
    try:
        statements = ast.parse(text).body if isinstance(text, str) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return config
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                try:
                    config[name] = _as_data(value)
                except (ValueError, TypeError, RecursionError):
                    continue
    return config


def _refuse(name: str) -> None:
    # A bare name names no module: mmengine looks on in other registries.
    if '.' in name:
        raise ImportError(f'{name} is in no registry.')


def _import(name: str) -> ModuleType:
    if name.partition('.')[0] not in SCOPES:
        raise ImportError(f'{name} is not one of OpenMMLab.')
    return import_module(name)


def _as_key(node: ast.expr) -> object:
    key = ast.literal_eval(node)
    # mmengine writes keys into a run's config between quotes, as they are, and the config is code.
    if isinstance(key, str) and not UNWRITABLE.isdisjoint(key):
        raise ValueError(f'the key {key!r} cannot be written.')
    return key


def _as_data(node: ast.expr) -> object:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[] | [ast.Dict()] as mapping, keywords=keywords):
            values = {str(keyword.arg): _as_data(keyword.value) for keyword in keywords}
            first = _as_data(mapping[0]) if mapping else {}
            return first | values if isinstance(first, dict) else values
        case ast.Dict(keys=keys, values=values):
            return {_as_key(key): _as_data(value) for key, value in zip(keys, values, strict=True) if key}
        case ast.List(elts=parts):
            return [_as_data(part) for part in parts]
        case ast.Tuple(elts=parts):
            # mmcv tells a size, a tuple, from a choice of sizes, a list.
            return tuple(_as_data(part) for part in parts)
        case ast.Name(id='inf' | 'nan' as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id='inf')):
            return -float('inf')
    return ast.literal_eval(node)
