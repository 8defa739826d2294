"""Tells arguments of the wrong kind by the annotations of what they are given to."""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real

NAMES = {
    bool: 'True or False',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    dict: 'a dict',
    list[dict]: 'a list of dicts',
    Sequence[int]: 'a list of whole numbers',
    types.NoneType: 'None',
}


def check_kinds(function: Callable, arguments: Mapping[str, object]) -> None:
    """Raise ValueError if an argument is of another kind than its annotation says.

    Args:
        function: What has the annotations, of the kinds in `NAMES` and unions of them.
        arguments: The arguments by name; others of its entries are left alone.

    Example:
        >>> def scale(factor: float, axes: int | Sequence[int] = 0): ...
        >>> check_kinds(scale, dict(factor=2, axes=(0, 1)))
        >>> check_kinds(scale, dict(factor='two'))
        Traceback (most recent call last):
        ValueError: factor must be a number; got 'two'.
    """
    for name, annotation in typing.get_type_hints(function).items():
        kinds = kinds_of(annotation)
        if name in arguments and name != 'return' and not any(_is(arguments[name], kind) for kind in kinds):
            raise ValueError(f'{name} must be {" or ".join(NAMES[kind] for kind in kinds)}; got {arguments[name]!r}.')


def kinds_of(annotation: typing.Any) -> tuple:  # noqa: ANN401 - whatever stands behind an argument
    """Return the members of a union, or else the annotation itself.

    Args:
        annotation: The annotation of an argument.

    Example:
        >>> kinds_of(int | None), kinds_of(bool)
        ((<class 'int'>, <class 'NoneType'>), (<class 'bool'>,))
    """
    # Python 3.10 makes an `Optional` of what is None by default.
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    return typing.get_args(annotation) if is_union else (annotation,)


def _is(value: object, kind: type) -> bool:
    if kind in (Sequence[int], list[dict]):
        holder, part = (Sequence, int) if kind == Sequence[int] else (list, dict)
        return isinstance(value, holder) and not isinstance(value, str) and all(_is(item, part) for item in value)
    if kind is bool:
        # Configs have 0 and 1 as well.
        return isinstance(value, Integral) and value in (0, 1)
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, kind)
