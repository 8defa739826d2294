"""The arguments ``--resume`` and ``--resume-with`` of the commands that train."""

import argparse

from convnext_dense.cli.arguments import not_empty
from convnext_dense.config.find import check_file
from convnext_dense.errors import UsageError

LATEST = 'auto'


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add ``--resume``, with a checkpoint or without one, and ``--resume-with``."""
    parser.add_argument(
        '--resume',
        type=not_empty,
        nargs='?',
        const=LATEST,
        metavar='CHECKPOINT',
        help='resume from this checkpoint, or without one from the latest in the work dir',
    )
    parser.add_argument(
        '--resume-with',
        choices=['checkpoint', 'config'],
        default='checkpoint',
        help="whose learning rates, optimizer settings and schedules a resumed run follows: the checkpoint's, which is "
        "the default, or the config's",
    )


def check_resume(resume: str | None, resume_with: str) -> None:
    """Raise UsageError if the checkpoint to resume from is named, and is no file, or the run does not resume.

    Example:
        >>> check_resume('auto', 'config')
    """
    if resume_with == 'config' and not resume:
        raise UsageError('resume_with says how to resume; give resume, too.')
    if resume and resume != LATEST:
        check_file(resume, 'resume')
