"""Runs an action as soon as a module has been imported, without importing it."""

import sys
import threading
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
    """Finds one module where the other finders find it, until it has been imported."""

    def __init__(self, name: str, action: Callable[[], object]) -> None:
        self.name = name
        self.action = action
        self._state = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec with a loader that calls the action after the module's own."""
        # Some only ask whether there is such a module. So this finder stays until the module is imported.
        if fullname != self.name or getattr(self._state, 'is_asking', False):
            return None
        self._state.is_asking = True
        try:
            spec = find_spec(fullname)
        finally:
            self._state.is_asking = False
        if spec is None or spec.loader is None:
            return None
        spec.loader = _ActingLoader(spec.loader, self)
        return spec


class _ActingLoader(Loader):
    """A module's own loader, which calls a finder's action once the module has been executed."""

    def __init__(self, loader: Loader, finder: _PostImportFinder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> object:
        # Callers that ask the loader for a source file or for resources get the module's own.
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, give it its own loader back, and act."""
        self._loader.exec_module(module)
        own = self._loader
        while isinstance(own, _ActingLoader):
            own = own._loader
        module.__loader__ = own
        if module.__spec__ is not None:
            module.__spec__.loader = own
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
            self._finder.action()
