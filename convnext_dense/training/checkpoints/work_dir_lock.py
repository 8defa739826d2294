"""Keeps a second training out of a work directory."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from convnext_dense.errors import UsageError

LOCK = '.training.lock'
# The workers of a training that was killed hold its lock until they notice, which takes two seconds.
WAIT_SECONDS = 10


@contextmanager
def locked_work_dir(work_dir: str | Path) -> Generator[None]:
    """Keep other trainings out of a work directory while the block runs. They would overwrite each other's checkpoints.

    A file system without locks keeps none out.

    Args:
        work_dir: The directory, which is made.

    Raises:
        UsageError: If another training runs there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked_work_dir(folder):
        ...     print('the training')
        the training
    """
    lock = FileLock(Path(work_dir, LOCK), timeout=WAIT_SECONDS)
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UsageError(
            f'work_dir: another training runs in {work_dir}; wait for it, or give this one a work_dir of its own.'
        ) from error
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()
