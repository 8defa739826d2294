"""Mistakes of the person who runs a tool, as opposed to faults of the program."""

import errno
import re
import sys
import unicodedata
from collections.abc import Collection, Generator
from contextlib import contextmanager

from convnext_dense.launched import leave_word

# What the system says of a path that no program can use.
UNUSABLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)
# How much of another library's message a sentence has.
SHOWN_CHARACTERS = 300
# The status of a command that a signal stopped: EX_TEMPFAIL of sysexits.h, "try again later". No shell and no launcher
# makes it up, so a scheduler may requeue on it.
STOPPED = 75


class UsageError(ValueError):
    """A mistake in what a function or a command was given.

    Its message is one sentence: what, where, and what is allowed. If it is about an argument, it begins with the
    argument's name: ``resume: there is no file epoch_3.pth.``

    One that was raised in a worker of a dataloader has the same message: PyTorch raises it again with the worker's
    traceback as its message, of which the sentence is kept.
    """

    def __init__(self, message: str) -> None:
        sentence = message.rpartition(f'{type(self).__module__}.{type(self).__qualname__}: ')[-1].rstrip('\n')
        # The name of a file may have line breaks, the control characters of terminals, and bytes that are no text.
        super().__init__(''.join(map(_printable, sentence)))


class SampleError(UsageError):
    """A file of a dataset that cannot be read, or cannot be right. In training, another sample can take its place."""


class RunError(RuntimeError):
    """A run that failed. Its message says why; if it was a command, it has the end of the command's log."""


class RunStopped(KeyboardInterrupt):
    """A training that was asked to stop by a signal, and can go on. Its message says how far it came."""


class CheckpointError(UsageError):
    """A checkpoint that cannot be fetched, read, or loaded as it is asked for."""


@contextmanager
def exit_on_usage_error(options: Collection[str] = ()) -> Generator[None]:
    """Print a UsageError as one line and exit with status 2, or a RunError and exit with status 1.

    A path that the system refuses, such as a name that is too long, is a UsageError too.
    Where `convnext_dense.apis.launching.torchrun` started several processes, it prints the line, once.

    Args:
        options: The names of a command's options. Where a message names one, it is printed with its dashes.

    Example:
        >>> with exit_on_usage_error():
        ...     print('a command runs here')
        a command runs here
    """
    try:
        yield
    except (UsageError, RunError, OSError) as error:
        if isinstance(error, OSError):
            if error.errno not in UNUSABLE or not error.filename:
                raise
            error = UsageError(f'{error.filename} cannot be used: {error.strerror}.')
        sentence = _with_dashes(str(error), options)
        if not leave_word(sentence, sentence):
            print(f'error: {sentence}', file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)


def describe(error: BaseException) -> str:
    """Return an exception as the end of a sentence: its kind and its message on one line.

    Example:
        >>> describe(ZeroDivisionError('division by zero')), describe(KeyError('model'))
        ('ZeroDivisionError: division by zero', "KeyError: 'model'")
    """
    message = ' '.join(str(error).split())
    if len(message) > SHOWN_CHARACTERS:
        message = f'{message[:SHOWN_CHARACTERS].rstrip()}...'
    return f'{type(error).__name__}: {message}' if message else type(error).__name__


def _printable(character: str) -> str:
    if unicodedata.category(character) in ('Cc', 'Cs', 'Zl', 'Zp'):
        return character.encode('unicode_escape').decode()
    return character


def _with_dashes(message: str, options: Collection[str]) -> str:
    def flag(match: re.Match) -> str:
        return f'--{match[0].replace("_", "-")}' if match[0] in options else match[0]

    # The argument that the message is about: `resume: ...`, or with its value, `backbone timm/resnet5: ...`.
    message = re.sub(r'^[a-z_]+(?=:| .*:)', flag, message, count=1)
    # A name of two words is that of an argument anywhere.
    return re.sub(r'(?<![\w./-])[a-z]+_[a-z_]+(?![\w/-]|\.\w)', flag, message)
