"""Turns a batch into plain values and tensors, and back, so that a file can hold it without code."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from convnext_dense.errors import UsageError

KIND = '__kind__'
# The classes that a batch may have besides plain ones, and where they are. They are imported when they are needed.
ELEMENTS = {
    'BaseDataElement': 'mmengine.structures',
    'InstanceData': 'mmengine.structures',
    'PixelData': 'mmengine.structures',
    'LabelData': 'mmengine.structures',
    'DetDataSample': 'mmdet.structures',
    'ReIDDataSample': 'mmdet.structures',
    'TrackDataSample': 'mmdet.structures',
    'SegDataSample': 'mmseg.structures',
}
BOXES = {'HorizontalBoxes': 'mmdet.structures.bbox'}
ARRAY, SCALAR = 'ndarray', 'numpy scalar'
MASKS = {'BitmapMasks': 'mmdet.structures.mask', 'PolygonMasks': 'mmdet.structures.mask'}


def to_data(value: Any) -> Any:  # noqa: ANN401 - any part of a batch
    """Return a batch as plain values and tensors on the CPU.

    Args:
        value: What a loader yields: tensors, arrays, OpenMMLab's data samples, boxes and masks, in lists and dicts.

    Raises:
        UsageError: If it holds something else.

    Example:
        >>> to_data(dict(inputs=(1, None)))
        {'inputs': (1, None)}
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in 'biufc':
        # As a tensor, since PyTorch's safe loader refuses an empty array.
        return {KIND: SCALAR if isinstance(value, np.generic) else ARRAY, 'tensor': torch.from_numpy(np.array(value))}
    if isinstance(value, Mapping):
        return {_key(key): to_data(part) for key, part in value.items()}
    if isinstance(value, set):
        return sorted(to_data(part) for part in value)
    if type(value) in (list, tuple):
        return type(value)(to_data(part) for part in value)
    if type(value).__name__ == 'IndexedMasks':
        # This package's form of mmdet's masks.
        value = value.to_bitmaps()
    name = type(value).__name__
    if type(value).__module__.startswith(tuple(BOXES.values())) and name in BOXES:
        return {KIND: name, 'tensor': value.tensor.detach().cpu()}
    if type(value).__module__.startswith(tuple(MASKS.values())) and name in MASKS:
        return {KIND: name, 'masks': to_data(value.masks), 'height': value.height, 'width': value.width}
    if isinstance(value, BaseDataElement) and name in ELEMENTS:
        return {KIND: name, 'meta': to_data(value.metainfo), 'data': to_data(dict(value.items()))}
    raise UsageError(f'the batch holds a {type(value).__module__}.{name}, which a file of a step cannot hold.')


def from_data(value: Any) -> Any:  # noqa: ANN401 - any part of a batch
    """Return the batch that `to_data` was given.

    Args:
        value: What `to_data` returned. It may come from a stranger: it builds the classes named in this module alone.

    Raises:
        UsageError: If it is nothing that `to_data` returns.

    Example:
        >>> from_data({'__kind__': 'InstanceData', 'meta': {}, 'data': {'labels': torch.tensor([1])}}).labels
        tensor([1])
    """
    if isinstance(value, list | tuple):
        return type(value)(map(from_data, value))
    if not isinstance(value, dict):
        return value
    if KIND not in value:
        return {key: from_data(part) for key, part in value.items()}
    kind = value[KIND]
    try:
        if kind in (ARRAY, SCALAR):
            array = value['tensor'].numpy()
            return array if kind == ARRAY else array[()]
        if kind in ELEMENTS:
            return _element(_class(ELEMENTS, kind), value)
        if kind in BOXES:
            return _class(BOXES, kind)(value['tensor'], clone=False)
        if kind in MASKS:
            return _class(MASKS, kind)(from_data(value['masks']), int(value['height']), int(value['width']))
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UsageError(f'the batch holds a {kind} of another form than it is saved in.') from error
    raise UsageError(f'the batch holds a {kind!r}, which is nothing that a batch may have.')


def _element(kind: Callable, value: dict) -> BaseDataElement:
    element = kind()
    element.set_metainfo(from_data(value['meta']))
    for name, part in value['data'].items():
        # Not an attribute of the class itself, such as a method; properties are there to be set.
        own = getattr(kind, name, None)
        if name.startswith('_') or (own is not None and not isinstance(own, property)):
            raise ValueError(name)
        setattr(element, name, from_data(part))
    return element


def _class(places: dict[str, str], name: str) -> Callable:
    return getattr(import_module(places[name]), name)


def _key(key: object) -> str | int:
    return key if isinstance(key, str | int) else str(key)
