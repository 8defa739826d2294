"""Says in one sentence which component of a config could not be built, and why."""

import difflib
import re
import traceback
from collections.abc import Iterator
from types import FrameType

from mmengine.config import Config
from mmengine.registry import Registry

from convnext_dense.errors import describe

LOOPS = ('train_cfg', 'val_cfg', 'test_cfg')


def build_sentence(error: Exception, cfg: Config, key: str = '') -> str | None:
    """Return what went wrong, and at which key, if mmengine raised an error while it built a component.

    Args:
        error: What was raised.
        cfg: The config that it was built from.
        key: What is named if the component is nowhere in the config.

    Example:
        >>> from mmengine.registry import MODELS
        >>> try:
        ...     MODELS.build(dict(type='Nothing'))
        ... except KeyError as error:
        ...     print(build_sentence(error, Config(dict(model=dict(type='Nothing')))))
        model: there is no 'Nothing' in the model registry.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    builds = [frame for frame in frames if is_build(frame)]
    return _of_component(error, _key(cfg, builds) or key, builds[-1]) if builds else None


def is_build(frame: FrameType) -> bool:
    """Return whether a frame is that of mmengine's function that builds from a config, which it was given."""
    return frame.f_code.co_name == 'build_from_cfg' and isinstance(frame.f_locals.get('cfg'), dict)


def message_of(error: Exception) -> str:
    """Return an error's message as a sentence. What this package raises is one already; others get their kind.

    A dataloader's worker sends the traceback of its process, of which the end counts.

    Example:
        >>> message_of(ValueError('depth is 3'))
        'ValueError: depth is 3.'
    """
    text = str(error)
    if 'Original Traceback' in text:
        text = text.rstrip().splitlines()[-1]
    elif not text and isinstance(error, AssertionError) and error.__traceback__:
        # What was asserted says more than nothing.
        text = f'AssertionError: {traceback.extract_tb(error.__traceback__)[-1].line}'
    elif not is_ours(error):
        text = describe(error)
    text = ' '.join(text.split())
    return text if text.endswith('.') else f'{text}.'


def is_ours(error: Exception) -> bool:
    """Return whether this package raised an error about a value."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    module = str(frames[-1].f_globals.get('__name__')) if frames else ''
    return isinstance(error, ValueError) and module.startswith('convnext_dense.')


def _of_component(error: Exception, key: str, frame: FrameType) -> str:
    kind = frame.f_locals['cfg'].get('type')
    name = getattr(kind, '__name__', kind)
    if isinstance(error, KeyError) and frame.f_locals.get('obj_cls', error) is None:
        registry = frame.f_locals['registry']
        found = difflib.get_close_matches(str(name), sorted(set(registered_names(registry))), n=3)
        hint = f'; the nearest are {", ".join(found)}' if found else ''
        return f'{key}: there is no {name!r} in the {registry.name} registry{hint}.'
    if isinstance(error, TypeError) and (match := re.search(r"unexpected keyword argument '(\w+)'", str(error))):
        return f'{key}: {name} has no argument {match[1]!r}.'
    if isinstance(error, TypeError) and (match := re.search(r'missing \d+ required .*?arguments?: (.+)', str(error))):
        return f'{key}: {name} needs the argument {match[1]}.'
    return f'{key}: {message_of(error)}' if is_ours(error) else f'{key} ({name}): {message_of(error)}'


def registered_names(registry: Registry) -> Iterator[str]:
    """Yield the names in a registry and in those that it inherits from.

    Example:
        >>> fruits = Registry('fruit', scope='garden')
        >>> apple = fruits.register_module('apple', module=type('Apple', (), {}))
        >>> list(registered_names(fruits))
        ['apple']
    """
    current: Registry | None = registry
    while current is not None:
        yield from current.module_dict
        current = current.parent


def _key(cfg: Config, builds: list[FrameType]) -> str:
    """Return the place in the config of the innermost component that is being built.

    Components change what they pass on, so its config is the one of its type that has most in common with it.
    """
    key, whole = '', cfg.to_dict()
    tree = whole
    for frame in builds:
        wanted = frame.f_locals['cfg']
        # A loop builds its dataloader, which is elsewhere.
        places = _alike(wanted, tree, key) or _alike(wanted, whole, '')
        split = key.partition('_')[0]
        if places:
            _, key, tree = max(places, key=lambda place: (place[0], place[1].startswith(split), -len(place[1])))
        elif key in LOOPS:
            # What a loop builds is not in its own config.
            key, tree = '', whole
    return key


def _alike(wanted: dict, tree: object, key: str) -> list[tuple[int, str, dict]]:
    """Return the dicts of a component's type: how much they have in common with it, and where they are."""
    return [
        (sum(_same(value.get(name), item) for name, item in wanted.items()), place, value)
        for place, value in _dicts(tree, key)
        if value.get('type') == wanted.get('type')
    ]


def _same(value: object, other: object) -> bool:
    # Arrays and tensors compare by element.
    return type(value) is type(other) and repr(value) == repr(other)


def _dicts(tree: object, key: str) -> Iterator[tuple[str, dict]]:
    if isinstance(tree, dict):
        yield key, tree
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    for name, value in items:
        yield from _dicts(value, f'{key}.{name}' if key else str(name))
