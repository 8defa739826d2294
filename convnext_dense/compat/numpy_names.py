"""Gives modules that were written for NumPy 1 the names that NumPy 2 has no longer."""

import sys
from types import ModuleType

import numpy as np

REMOVED = dict(float=float, int=int, bool=bool, object=object, str=str, in1d=np.isin)


class _OldNumPy(ModuleType):
    """NumPy, with the names that it had. NumPy itself stays as it is, for those who ask it what it has."""

    def __getattr__(self, name: str) -> object:
        try:
            return getattr(np, name)
        except AttributeError:
            if name in REMOVED:
                return REMOVED[name]
            raise


def restore_numpy_names(name: str) -> None:
    """Give a module, or the modules of a package, the names that NumPy had.

    Args:
        name: The name of an imported module.

    Example:
        >>> module = sys.modules['old'] = ModuleType('old')
        >>> module.np = np
        >>> restore_numpy_names('old')
        >>> module.np.float, module.np.pi == np.pi
        (<class 'float'>, True)
    """
    old = _OldNumPy('numpy')
    for other, module in list(sys.modules.items()):
        if (other == name or other.startswith(f'{name}.')) and getattr(module, 'np', None) is np:
            vars(module)['np'] = old
