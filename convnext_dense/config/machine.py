"""Finds out before the work whether its results can be written, and whether a launcher started it.

Imports nothing heavy.
"""

import os
import tempfile
from pathlib import Path

from convnext_dense.config.find import URL_MARK
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import special_kind

# What each launcher sets, and what starts it.
VARIABLES = {
    'pytorch': (('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'), 'torchrun'),
    'slurm': (('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'), 'srun'),
    'mpi': (
        ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'),
        'mpirun -x MASTER_ADDR=HOST',
    ),
}
# Which of them says how many processes there are.
PROCESSES = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}


def check_folder(folder: str | Path | None, argument: str) -> None:
    """Raise UsageError if files cannot be written into a folder, which need not exist.

    Args:
        folder: The folder. An address, or None, is not looked at.
        argument: The argument that it was given as.

    Example:
        >>> check_folder('work_dirs/new', 'work_dir')
        >>> check_folder(os.devnull, 'work_dir')
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: work_dir: /dev/null is a file; give a folder.
    """
    if not folder or URL_MARK in str(folder):
        return
    existing = _existing(Path(folder))
    if not existing.is_dir():
        raise UsageError(f'{argument}: {existing} is a file; give a folder.')
    try:
        # Asking for permission is not enough: root has it where nothing can be written, such as in /proc.
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise UsageError(f'{argument}: nothing can be written to {folder}: {error.strerror}.') from error


def check_run_folder(folder: str | Path | None, argument: str) -> None:
    """Raise UsageError if a run cannot write into a folder, which need not exist.

    Args:
        folder: The folder, as in `check_folder`. A run writes its whole name into files, which are of UTF-8.
        argument: The argument that it was given as.

    Example:
        >>> check_run_folder('work_dirs/new', 'work_dir')
    """
    check_folder(folder, argument)
    if folder and URL_MARK not in str(folder):
        path = os.path.abspath(os.path.expanduser(folder))
        if path.encode('utf-8', 'replace') != os.fsencode(path):
            raise UsageError(f'{argument}: the names of the folder and of those around it must be UTF-8; got {path}.')


def check_output_file(file: str | Path | None, argument: str) -> None:
    """Raise UsageError if a file cannot be written. It need not exist, and neither need its folder.

    Args:
        file: The file. None is not looked at.
        argument: The argument that it was given as.

    Example:
        >>> check_output_file('new/weights.pth', 'output')
    """
    if not file:
        return
    if Path(file).is_dir():
        raise UsageError(f'{argument}: {file} is a folder; give a file.')
    if kind := special_kind(file):
        raise UsageError(f'{argument}: {file} is {kind}; give a file.')
    if Path(file).exists() and not os.access(file, os.W_OK):
        raise UsageError(f'{argument}: {file} cannot be overwritten.')
    check_folder(Path(file).parent, argument)


def check_launcher(launcher: str) -> None:
    """Raise UsageError if the variables that a launcher sets are missing.

    Args:
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Example:
        >>> check_launcher('none')
    """
    if launcher == 'none':
        return
    if launcher not in VARIABLES:
        raise UsageError(f'launcher: it must be none, {", ".join(VARIABLES)}; got {launcher!r}.')
    variables, program = VARIABLES[launcher]
    if missing := [variable for variable in variables if not os.environ.get(variable)]:
        raise UsageError(f'launcher: {launcher} needs {", ".join(missing)}, which {program} sets; start it by that.')


def count_processes(launcher: str) -> int:
    """Return how many processes a launcher started.

    Args:
        launcher: As in `check_launcher`.

    Example:
        >>> count_processes('none')
        1
    """
    return int(os.environ[PROCESSES[launcher]]) if launcher in PROCESSES else 1


def process_number() -> int:
    """Return this process's number among those of a launcher, before they know of each other.

    Example:
        >>> process_number()
        0
    """
    return int(os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or os.environ.get('OMPI_COMM_WORLD_RANK') or 0)


def _existing(path: Path) -> Path:
    """Return a path, or the innermost of its folders that exists."""
    path = Path(os.path.expanduser(path)).absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
