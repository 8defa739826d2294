"""What the classes and functions that a config names take, as far as their signatures say."""

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import Parameter

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmengine.utils import ManagerMixin

from convnext_dense.backbones.argument_kinds import kinds_of
from convnext_dense.training.checkpoints.whole_checkpoints import WholeCheckpointHook

# What mmengine, mmcv and their kin take out of a config before they build the component.
TAKEN_BEFORE = frozenset({'type', '_scope_', '_delete_', 'requires_grad', 'convert_to_iter_based'})
NUMBERS = (int, float, bool, types.NoneType)


@dataclass(frozen=True)
class Signature:
    """What a component takes.

    Args:
        parameters: Its parameters by name, with those of the base classes that its ``**kwargs`` go to.
        is_open: Whether it takes ``**kwargs``.
        literals: Texts in the constructors' code, such as the names of ``kwargs.pop('size')``, and old names.
    """

    parameters: dict[str, Parameter]
    is_open: bool
    literals: frozenset[str]


@functools.cache
def signature(component: Callable) -> Signature:
    """Return what a class or a function takes. It is open if Python cannot tell.

    Example:
        >>> from torch import nn
        >>> list(signature(nn.GELU).parameters)
        ['approximate']
    """
    if not inspect.isclass(component):
        return _read([component])
    constructors = [base.__dict__['__init__'] for base in component.__mro__[:-1] if '__init__' in base.__dict__]
    found = _read(constructors)
    if constructors[:1] == [CheckpointHook.__init__]:
        # Ours takes its place, and its `**kwargs` go to this method when it saves, which is after an epoch of training.
        others = _read([WholeCheckpointHook.__init__, Runner.save_checkpoint])
        found = Signature(found.parameters | others.parameters, False, found.literals)
    if issubclass(component, ManagerMixin):
        found.parameters.setdefault('name', Parameter('name', Parameter.KEYWORD_ONLY))
    return found


def _read(functions: list[Callable]) -> Signature:
    parameters: dict[str, Parameter] = {}
    literals: set[str] = set()
    is_open = False
    for function in functions:
        try:
            own = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return Signature(parameters, True, frozenset(literals))
        literals.update(_literals(function))
        for parameter in own:
            if parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) and parameter.name != 'self':
                parameters.setdefault(parameter.name, parameter)
        if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in own):
            break
        is_open = True
    return Signature(parameters, is_open, frozenset(literals))


def _literals(function: Callable) -> Iterator[str]:
    """Yield the texts in a function's code, and the keys of what its decorators were given."""
    code = getattr(inspect.unwrap(function), '__code__', None)
    yield from (text for text in getattr(code, 'co_consts', ()) if isinstance(text, str))
    while hasattr(function, '__wrapped__'):
        for cell in function.__closure__ or ():
            if isinstance(cell.cell_contents, dict):
                yield from cell.cell_contents
        function = function.__wrapped__


def wrong_kind(parameter: Parameter, value: object) -> str | None:
    """Return what a parameter takes, if that is a number or a switch and the value is neither; otherwise None.

    An annotation counts, or else the default. Nothing is concluded from other annotations.

    Args:
        parameter: The parameter.
        value: What the config gives.

    Example:
        >>> wrong_kind(Parameter('depth', Parameter.KEYWORD_ONLY, annotation=int), 'fifty')
        'a whole number'
        >>> wrong_kind(Parameter('depth', Parameter.KEYWORD_ONLY, default=50), 101)
    """
    kinds = _annotated(parameter)
    if kinds is None:
        kinds = (type(parameter.default),)
        # Without an annotation, a list may stand for a number a stage, and a name for a choice beyond True and False.
        is_wrong = isinstance(value, dict) or (isinstance(value, str) and (kinds != (bool,) or not value))
    elif value is None:
        is_wrong = types.NoneType not in kinds and parameter.default not in (None, Parameter.empty)
    else:
        # Annotations often forget lists, such as a value a channel.
        is_wrong = isinstance(value, str | dict)
    names = dict.fromkeys(_NAMES[kind] for kind in kinds if kind in _NAMES)
    return ' or '.join(names) or None if is_wrong else None


_NAMES = {bool: 'True or False', int: 'a whole number', float: 'a number'}


def _annotated(parameter: Parameter) -> tuple[type, ...] | None:
    """Return the kinds of an annotation that names only numbers and switches; None for any other."""
    kinds = kinds_of(parameter.annotation)
    return kinds if set(kinds) <= set(NUMBERS) and set(kinds) != {types.NoneType} else None
