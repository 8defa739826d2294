"""Mistakes of the person who runs a tool, as opposed to faults of the program."""

import re
import sys
from collections.abc import Collection, Generator
from contextlib import contextmanager


class UsageError(ValueError):
    """A mistake in what a function or a command was given.

    Its message is one sentence: what, where, and what is allowed. If it is about an argument, it begins with the
    argument's name: ``resume: there is no file epoch_3.pth.``
    """


class CheckpointError(UsageError):
    """A checkpoint that cannot be fetched, read, or loaded as it is asked for."""


@contextmanager
def exit_on_usage_error(options: Collection[str] = ()) -> Generator[None]:
    """Print a UsageError as one line and exit with status 2.

    Args:
        options: The names of a command's options. A message that begins with one is printed with its dashes.

    Example:
        >>> with exit_on_usage_error():
        ...     print('a command runs here')
        a command runs here
    """
    try:
        yield
    except UsageError as error:
        print(f'error: {_with_dashes(str(error), options)}', file=sys.stderr)
        sys.exit(2)


def _with_dashes(message: str, options: Collection[str]) -> str:
    match = re.match(r'([a-z_]+)[: ]', message)
    return f'--{match[1].replace("_", "-")}{message[match.end(1) :]}' if match and match[1] in options else message
