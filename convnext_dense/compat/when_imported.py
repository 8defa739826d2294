"""Runs something as soon as a module has been imported, without importing it."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def when_imported(name: str, action: Callable[[], object]) -> None:
    """Call `action` once the module `name` has been imported: at once, if it is already.

    Args:
        name: The module's full name.
        action: What is called. Importing the module fails with what it raises.

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
    """Finds one module where the other finders find it, and leaves after that."""

    def __init__(self, name: str, action: Callable[[], object]) -> None:
        self.name = name
        self.action = action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec with a loader that calls the action behind the module's own."""
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
    """A module's own loader, which calls an action once the module has been executed."""

    def __init__(self, loader: Loader, action: Callable[[], object]) -> None:
        self._loader = loader
        self._action = action

    def __getattr__(self, name: str) -> object:
        # Whoever asks the loader for a source file or for resources, asks the module's own.
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, give it its own loader back, and act."""
        self._loader.exec_module(module)
        module.__spec__.loader = module.__loader__ = self._loader
        self._action()
