"""An import hook that gives mmcv-lite its missing extension module, ``mmcv._ext``."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

EXT_NAME = 'mmcv._ext'
EXT_FILE = Path(__file__).parents[1] / 'ops' / 'ext.py'


class MmcvExtFinder(MetaPathFinder):
    """Finds ``mmcv._ext`` in our own file. It is the last finder, so a compiled ``mmcv._ext`` keeps precedence."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the stand-in for ``mmcv._ext``, and None for every other module."""
        if fullname != EXT_NAME:
            return None
        return spec_from_file_location(EXT_NAME, EXT_FILE)


def provide_mmcv_ext() -> None:
    """Make ``mmcv.ops`` importable without a compiled mmcv. A compiled ``mmcv._ext`` keeps precedence.

    Calling it again changes nothing.

    Example:
        >>> from convnext_dense.compat import provide_mmcv_ext
        >>> provide_mmcv_ext()
        >>> from mmcv.ops import nms
    """
    if not any(isinstance(finder, MmcvExtFinder) for finder in sys.meta_path):
        sys.meta_path.append(MmcvExtFinder())


def is_mmcv_compiled() -> bool:
    """Return whether ``mmcv._ext`` was imported, and is mmcv's own."""
    extension = sys.modules.get(EXT_NAME)
    return extension is not None and Path(extension.__file__ or '') != EXT_FILE
