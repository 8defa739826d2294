"""Finds the heads of a model's config."""

import inspect
from collections.abc import Iterator

from mmengine.registry import MODELS

# Heads with classes of their own: an RPN knows objects, HTC's semantic head COCO-stuff, re-identification persons.
OTHER_HEADS = ('rpn_head', 'rpn', 'reid', 'language_model', 'backbone', 'neck')
THINGS, STUFF = 'num_things_classes', 'num_stuff_classes'


def find_heads(key: str, value: object, name: str = '') -> Iterator[tuple[str, dict]]:
    """Yield a model's heads with their keys, those in lists and in other models included.

    Args:
        key: The key of `value`, such as ``model``.
        value: The model's config, or a part of it.
        name: The last part of the key.

    Example:
        >>> model = dict(rpn_head=dict(), roi_head=dict(bbox_head=[dict(num_classes=80)] * 2))
        >>> [key for key, _ in find_heads('model', model)]
        ['model.roi_head', 'model.roi_head.bbox_head.0', 'model.roi_head.bbox_head.1']
    """
    if isinstance(value, dict):
        if name.endswith(('head', 'heads')):
            yield key, value
        for inner, part in value.items():
            if inner not in OTHER_HEADS:
                yield from find_heads(f'{key}.{inner}', part, inner)
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from find_heads(f'{key}.{i}', part, name)


def head_argument(head: dict, name: str) -> int | None:
    """Return a number that a head is built with: as its config says, or else by default; None if it takes no such.

    Args:
        head: Its config.
        name: The argument.

    Example:
        >>> head_argument(dict(num_classes=80), 'num_classes')
        80
    """
    if isinstance(head.get(name), int):
        return head[name]
    kind = head.get('type')
    if name in head or kind is None:
        return None
    if isinstance(kind, str):
        with MODELS.switch_scope_and_registry(None) as registry:
            try:
                kind = registry.get(kind)
            except (ImportError, KeyError):
                return None
    for base in inspect.getmro(kind) if inspect.isclass(kind) else ():
        if '__init__' in vars(base):
            parameter = inspect.signature(base.__init__).parameters.get(name)
            if parameter is not None:
                return parameter.default if isinstance(parameter.default, int) else None
    return None
