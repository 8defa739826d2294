"""``convnext-dense COMMAND``: parses the arguments, calls the function, and exits.

Commands import what they call when they run, so that ``--help`` and typing errors are answered at once.
"""

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from convnext_dense.cli import compat, completion, env, weights
from convnext_dense.cli.looking import browse, check, config, explain, flops, report, summary
from convnext_dense.cli.running import compare, demo, distill, export, predict, replay, serve, test, train
from convnext_dense.errors import STOPPED, RunStopped, describe, exit_on_usage_error
from convnext_dense.launched import leave_word
from convnext_dense.version import __version__

COMMANDS = (
    train,
    distill,
    test,
    predict,
    export,
    serve,
    browse,
    check,
    compare,
    report,
    config,
    summary,
    flops,
    explain,
    weights,
    demo,
    replay,
    env,
    compat,
    completion,
)
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the commands are."""

    _is_intermixed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - argparse's
        # `--epoch 3` is no other way to say `--epochs 3`: a new option could change what it means.
        super().__init__(*args, **{'allow_abbrev': False, **kwargs})

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        sentence = f'{message}; see {self.prog} --help.'
        if not leave_word(sentence, sentence):
            print(f'error: {sentence}', file=sys.stderr)
        sys.exit(2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - argparse's
        """Parse as argparse does, except that options may stand before a positional argument that may be left out."""
        is_open = any(action.nargs == '?' and not action.option_strings for action in self._actions)
        if not is_open or self._is_intermixed:
            return super().parse_known_args(args, namespace)
        self._is_intermixed = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_intermixed = False

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:  # noqa: ANN401 - argparse's
        # Python before 3.13 takes the `--` of `--data=--` for the end of the options, and gives an empty list.
        if action.option_strings and action.nargs is None and arg_strings == ['--']:
            self.error(f'argument {"/".join(action.option_strings)}: expected one argument')
        return super()._get_values(action, arg_strings)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Example:
        >>> build_parser().parse_args(['flops', 'my_config.py']).config
        'my_config.py'
    """
    parser = _Parser(prog='convnext-dense', description='ConvNeXt, and any other backbone, for mmdet and mmseg.')
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    commands = parser.add_subparsers(title='commands', dest='command', metavar='COMMAND', required=True)
    for command in COMMANDS:
        name = command.__name__.rpartition('.')[2]
        summary = command.__doc__.splitlines()[0]
        subparser = commands.add_parser(name, help=summary, description=summary)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
        for leaf in subparsers(subparser):
            leaf.set_defaults(options={action.dest for action in leaf._actions if action.option_strings})
    return parser


def subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return a parser and those of its commands.

    Example:
        >>> len(subparsers(argparse.ArgumentParser()))
        1
    """
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                found += subparsers(subparser)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, and exit with 2 and one line if it was given something wrong.

    Args:
        arguments: The command and its arguments. Defaults to those that the process was started with.

    Example:
        >>> main(['weights', 'list'])  # doctest: +ELLIPSIS
        name ...
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for name in ('stdout', 'stderr'):
        # Python has none of a stream that was closed by the shell.
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open('w'))  # noqa: SIM115 - open as long as the process
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            # The name of a file may have bytes that are no text.
            stream.reconfigure(errors='backslashreplace')
    args = build_parser().parse_args(arguments)
    args.arguments = arguments
    # A log that cannot be written, to a closed pipe or a full disk, is no reason for a traceback a line.
    logging.raiseExceptions = False
    try:
        with exit_on_usage_error(args.options):
            args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output has had enough, such as `head`. Python would complain again at its own last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except RunStopped as stop:
        if str(stop):
            # The first of several processes speaks for all.
            print(f'stopped: {stop}', file=sys.stderr)
        sys.exit(STOPPED)
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and find_spec('torch') is None:
            # An environment that runs exported models alone.
            package = error.name or 'a package'
            print(
                f'error: {args.command} needs {package}, which is not installed; pip install convnext_dense.',
                file=sys.stderr,
            )
            sys.exit(2)
        if not leave_word(describe(error), traceback.format_exc()):
            raise
        sys.exit(1)
