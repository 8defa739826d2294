"""The values of a config by their keys, and how those of two configs differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Of a value that a config does not have.
ABSENT = object()
# What mmengine adds to each part.
HIDDEN = '_scope_'


@dataclass(frozen=True)
class Difference:
    """A key whose value differs.

    Args:
        key: Such as ``optim_wrapper.optimizer.lr``.
        first: The value in the first config; `ABSENT` if it has none.
        second: That in the second.
    """

    key: str
    first: Any
    second: Any


def values_of(config: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a config
    """Return the values of a config that have no parts, by their keys. Lists of values are one value.

    Args:
        config: A config, or a part of it.

    Example:
        >>> values_of(dict(model=dict(depths=[1, 2]), hooks=[dict(type='A')], x={}))
        {'model.depths': [1, 2], 'hooks.0.type': 'A', 'x': {}}
    """
    return dict(_walk(config, ''))


def differences(first: Any, second: Any) -> list[Difference]:  # noqa: ANN401 - any part of a config
    """Return where two configs differ, in the order of their keys.

    Args:
        first: A config.
        second: Another.

    Example:
        >>> [part.key for part in differences(dict(a=1, b=2), dict(b=3, c=4))]
        ['a', 'b', 'c']
    """
    own, other = values_of(first), values_of(second)
    keys = dict.fromkeys([*own, *other])
    pairs = [Difference(key, own.get(key, ABSENT), other.get(key, ABSENT)) for key in keys]
    return [pair for pair in pairs if pair.first is ABSENT or pair.second is ABSENT or pair.first != pair.second]


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any part of a config
    if isinstance(node, Mapping) and node:
        parts = [(key, value) for key, value in node.items() if key != HIDDEN]
    elif isinstance(node, list | tuple) and any(isinstance(part, Mapping | list) for part in node):
        parts = list(enumerate(node))
    else:
        yield prefix, list(node) if isinstance(node, tuple) else node
        return
    for key, value in parts:
        yield from _walk(value, f'{prefix}.{key}' if prefix else str(key))
