"""Is there a C compiler? torch.compile and Triton need one for the code that they generate."""

import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

# By device type: the compilers, their language, and the environment variable that names another compiler.
COMPILERS = {'cpu': (('g++', 'clang++'), 'C++', 'CXX'), 'cuda': (('gcc', 'clang'), 'C', 'CC')}


def has_compiler(names: Sequence[str], variable: str) -> bool:
    """Return whether a compiler is on the PATH.

    Args:
        names: Names of compilers, any of which will do.
        variable: The environment variable that may name another compiler.

    Example:
        >>> has_compiler(['no_such_compiler'], 'NO_SUCH_VARIABLE')
        False
    """
    return any(shutil.which(name) for name in (os.environ.get(variable), *names) if name)


def python_header() -> Path:
    """Return the path that Python's C header has if it is installed.

    Example:
        >>> python_header().name
        'Python.h'
    """
    return Path(sysconfig.get_path('include'), 'Python.h')
