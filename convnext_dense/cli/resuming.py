"""The argument ``--resume`` of the commands that train."""

import argparse

from convnext_dense.cli.arguments import not_empty
from convnext_dense.config.find import check_file

LATEST = 'auto'


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add ``--resume``, with a checkpoint or without one."""
    parser.add_argument(
        '--resume',
        type=not_empty,
        nargs='?',
        const=LATEST,
        metavar='CHECKPOINT',
        help='resume from this checkpoint, or without one from the latest in the work dir',
    )


def check_resume(resume: str | None) -> None:
    """Raise UsageError if the checkpoint to resume from is named, and is no file.

    Example:
        >>> check_resume('auto')
    """
    if resume and resume != LATEST:
        check_file(resume, 'resume')
