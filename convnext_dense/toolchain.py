"""What this machine has to compile generated code by."""

import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

# By the type of device: what generated code is compiled by, its language, and the variable that names another.
COMPILERS = {'cpu': (('g++', 'clang++'), 'C++', 'CXX'), 'cuda': (('gcc', 'clang'), 'C', 'CC')}


def has_compiler(names: Sequence[str], variable: str) -> bool:
    """Return whether one of some compilers is on the PATH.

    Args:
        names: The compilers' names.
        variable: An environment variable that may name another.

    Example:
        >>> has_compiler(['no_such_compiler'], 'NO_SUCH_VARIABLE')
        False
    """
    return any(shutil.which(name) for name in (os.environ.get(variable), *names) if name)


def python_header() -> Path:
    """Return where Python's C header is, if it is installed.

    Example:
        >>> python_header().name
        'Python.h'
    """
    return Path(sysconfig.get_path('include'), 'Python.h')
