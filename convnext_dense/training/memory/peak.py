"""How much memory a run has taken at most."""

import resource
import sys

import torch

# ru_maxrss is in bytes on macOS, and in KiB elsewhere.
RSS_UNIT = 1 if sys.platform == 'darwin' else 1024


def peak_memory() -> int:
    """Return this process's peak memory in bytes: on a GPU what PyTorch allocated, else the resident memory.

    Example:
        >>> peak_memory() > 1e6
        True
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
