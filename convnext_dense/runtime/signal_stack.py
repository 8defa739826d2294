"""Keeps a process alive that OpenVINO leaves a freed stack for its signals."""

import ctypes
import sys
from collections.abc import Generator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """C's stack_t on Linux."""

    _fields_ = (('address', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Generator[None]:
    """Give this thread the stack for its signals back after the block, on Linux.

    OpenVINO's CPU plugin sets one of its own, and gives the former one back when it is deleted. If several are deleted
    in another order than they were made, a stack that was freed is left. The next signal that Python handles, such as
    the end of a dataloader's worker, then ends the process with a segmentation fault.

    Example:
        >>> with kept_signal_stack():
        ...     print('OpenVINO compiles a model here')
        OpenVINO compiles a model here
    """
    # macOS orders the fields otherwise.
    function = ctypes.CDLL(None).sigaltstack if sys.platform == 'linux' else None
    before = _Stack()
    if function is None or function(None, ctypes.byref(before)):
        yield
        return
    try:
        yield
    finally:
        function(ctypes.byref(before), None)
