"""Lets a room export names without importing the files that define them."""

import sys
from collections.abc import Callable
from importlib import import_module


def lazy_exports(package: str, exports: dict[str, str]) -> Callable[[str], object]:
    """Return a module's ``__getattr__``, which imports a name's file when the name is first used.

    Args:
        package: The room's full name.
        exports: The file of each name, without the room. No file has the name of an export: importing it would hide
            the export.

    Example:
        >>> getattr_of_json = lazy_exports('json', {'JSONDecoder': 'decoder'})
        >>> getattr_of_json('JSONDecoder').__name__
        'JSONDecoder'
    """

    def __getattr__(name: str) -> object:
        if name not in exports:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(import_module(f'{package}.{exports[name]}'), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
