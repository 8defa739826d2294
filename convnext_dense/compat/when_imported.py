"""Runs an action as soon as a module has been imported, without importing it."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def when_imported(name: str, action: Callable[[], object]) -> None:
    """Call `action` as soon as the module `name` is imported, or at once if it is imported already.

    Args:
        name: The module's full name.
        action: What to call. If it raises, importing the module fails with that error.

    Example:
        >>> when_imported('json', lambda: print('json is here'))
        json is here
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, '_initializing', False):
        action()
        return
    sys.meta_path.insert(0, _PostImportFinder(name, action))


class _PostImportFinder(MetaPathFinder):
    """Finds one module by the other finders, and removes itself after that."""

    def __init__(self, name: str, action: Callable[[], object]) -> None:
        self.name = name
        self.action = action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec, with a loader that also calls the action."""
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)
            return None
        spec.loader = _ActingLoader(spec.loader, self.action)
        return spec


class _ActingLoader(Loader):
    """Wraps a module's own loader, and calls an action once the module has been executed."""

    def __init__(self, loader: Loader, action: Callable[[], object]) -> None:
        self._loader = loader
        self._action = action

    def __getattr__(self, name: str) -> object:
        # Source code, resources and the like come from the module's own loader.
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, give it back its own loader, and call the action."""
        self._loader.exec_module(module)
        module.__spec__.loader = module.__loader__ = self._loader
        self._action()
