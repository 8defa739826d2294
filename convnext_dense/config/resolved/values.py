"""The values of a config by their keys, and how those of two configs differ."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

# Of a value that a config does not have.
ABSENT = object()
# What mmengine adds to each part.
HIDDEN = '_scope_'
# A part with one of these is compared key by key, also if it is of another type: a model, a dataset, an optim_wrapper.
WHOLES = ('backbone', 'detector', 'pipeline', 'dataset', 'datasets', 'optimizer')


@dataclass(frozen=True)
class Difference:
    """A key whose value differs.

    Args:
        key: Such as ``optim_wrapper.optimizer.lr``.
        first: The value in the first config, or a list of those of its parts that differ; `ABSENT` if it has none.
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

    A part of another type is one difference, as its keys have nothing to do with those of the other, unless it has one
    of `WHOLES`. Of a list of other types, such as a pipeline, the parts that differ are one difference.

    Args:
        first: A config.
        second: Another.

    Example:
        >>> [part.key for part in differences(dict(a=1, b=2), dict(b=3, c=4))]
        ['a', 'b', 'c']
        >>> differences(dict(neck=dict(type='FPN', num_outs=5)), dict(neck=dict(type='PAFPN')))[0].second
        {'type': 'PAFPN'}
    """
    return list(_differences(_plain(first), _plain(second), ''))


def same_differences(found: Iterable[Difference]) -> list[tuple[list[str], Difference]]:
    """Return differences with their keys: those that a config has several times, such as a pipeline's, are one.

    Args:
        found: As `differences` returns them.

    Example:
        >>> found = differences(
        ...     dict(data_root='a', train_dataloader=dict(dataset=dict(data_root='a'))),
        ...     dict(data_root='b', train_dataloader=dict(dataset=dict(data_root='b'))),
        ... )
        >>> same_differences(found)[0][0]
        ['data_root', 'train_dataloader.dataset.data_root']
    """
    groups: dict[str, tuple[list[str], Difference]] = {}
    for part in found:
        _, pipeline, tail = part.key.rpartition('pipeline')
        name = tail if pipeline else part.key.rpartition('.')[2]
        group = groups.setdefault(repr((name, part.first, part.second)), ([], part))
        group[0].append(part.key)
    return list(groups.values())


def _differences(first: Any, second: Any, key: str) -> Iterator[Difference]:  # noqa: ANN401 - any part of a config
    if first == second:
        return
    if isinstance(first, dict) and isinstance(second, dict) and not (key and _is_replaced(first, second)):
        for name in dict.fromkeys([*first, *second]):
            path = f'{key}.{name}' if key else str(name)
            yield from _differences(first.get(name, ABSENT), second.get(name, ABSENT), path)
        return
    if _are_parts(first) and _are_parts(second):
        if _types(first) == _types(second):
            for i, (own, other) in enumerate(zip(first, second, strict=True)):
                yield from _differences(own, other, f'{key}.{i}' if key else str(i))
            return
        first, second = _without_common(first, second)
    yield Difference(key, first, second)


def _is_replaced(first: dict, second: dict) -> bool:
    return first.get('type') != second.get('type') and not any(key in first and key in second for key in WHOLES)


def _are_parts(value: Any) -> bool:  # noqa: ANN401 - any value
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) or _are_parts(part) for part in value)


def _types(parts: list) -> list:
    return [
        part.get('type') if isinstance(part, dict) else _types(part) if _are_parts(part) else None for part in parts
    ]


def _without_common(first: list, second: list) -> tuple[list, list]:
    matcher = SequenceMatcher(None, list(map(repr, first)), list(map(repr, second)), autojunk=False)
    changes = [change[1:] for change in matcher.get_opcodes() if change[0] != 'equal']
    own = [part for start, end, _, _ in changes for part in first[start:end]]
    return own, [part for _, _, start, end in changes for part in second[start:end]]


def _plain(node: Any) -> Any:  # noqa: ANN401 - any part of a config
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items() if key != HIDDEN}
    return [_plain(value) for value in node] if isinstance(node, list | tuple) else node


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
