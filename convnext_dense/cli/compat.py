"""Make every program of this environment find mmcv's operators."""

import argparse

from convnext_dense.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own commands."""
    commands = parser.add_subparsers(title='commands', dest='action', metavar='COMMAND', required=True)
    for name, summary, act in (
        ('install', "Write a file into site-packages that imports this package before OpenMMLab's.", _install),
        ('remove', 'Delete that file.', _remove),
        ('status', 'Say whether it is there, and whose operators mmcv has.', _status),
    ):
        commands.add_parser(name, help=summary, description=summary).set_defaults(act=act)


def run(args: argparse.Namespace) -> None:
    """Do what the command's own command says."""
    try:
        args.act(args)
    except OSError as error:
        raise UsageError(f'{error.filename} cannot be written: {error.strerror}.') from error


def _install(args: argparse.Namespace) -> None:
    from convnext_dense.compat.imports.every_program import install

    print(f"Wrote {install()}: every program of this environment finds mmcv's operators now.")


def _remove(args: argparse.Namespace) -> None:
    from convnext_dense.compat.imports.every_program import remove

    for file in remove() or ['nothing: it was not installed']:
        print(f'Deleted {file}.')


def _status(args: argparse.Namespace) -> None:
    from convnext_dense.apis.environment import operators_of_mmcv
    from convnext_dense.compat.imports.every_program import installed

    print('every program:  ', ', '.join(map(str, installed())) or 'not installed')
    print('mmcv operators: ', operators_of_mmcv())
