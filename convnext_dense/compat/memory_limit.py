"""Limits how much memory a piece of code may take."""

import os
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def memory_limit(extra: int) -> Generator[None]:
    """Make allocations in the block fail when this process takes more memory than before, on Linux.

    Code raises MemoryError then, or what its library has for it. Elsewhere the block runs without a limit.

    Args:
        extra: How much more, in bytes. Mapped files that the process may write to count too.

    Example:
        >>> with memory_limit(2**30):
        ...     len(bytes(2**20))
        1048576
    """
    try:
        # Windows has no such module, and macOS no such file.
        import resource

        with open('/proc/self/statm') as file:
            taken = int(file.read().split()[5]) * os.sysconf('SC_PAGE_SIZE')
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (soft, taken + extra) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
