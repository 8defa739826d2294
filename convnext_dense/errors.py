"""Mistakes of the person who runs a tool, as opposed to faults of the program."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UsageError(ValueError):
    """A mistake in what a tool was given. Its message is one sentence: what, where, and what is allowed."""


class CheckpointError(UsageError):
    """A checkpoint that cannot be fetched, read, or loaded as it is asked for."""


@contextmanager
def exit_on_usage_error() -> Iterator[None]:
    """Print a UsageError as one line and exit with status 2.

    Example:
        >>> with exit_on_usage_error():
        ...     print('a tool runs here')
        a tool runs here
    """
    try:
        yield
    except UsageError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
