"""Notes that a run is at its end, its last validation included. The last checkpoint is saved before that."""

from pathlib import Path

FINISHED = 'finished_at_step'


def mark_finished(work_dir: str | Path, step: int) -> None:
    """Note in a work directory that the run is at its end.

    Args:
        work_dir: The directory.
        step: How many steps were made.
    """
    Path(work_dir, FINISHED).write_text(f'{step}\n')


def unmark_finished(work_dir: str | Path) -> None:
    """Forget that a run in a work directory was at its end: it goes on, or another one begins there.

    Args:
        work_dir: The directory.

    Example:
        >>> unmark_finished('no/such/folder')
    """
    Path(work_dir, FINISHED).unlink(missing_ok=True)


def is_marked_finished(work_dir: str | Path, step: int) -> bool:
    """Return whether a run with as many steps was noted to be at its end.

    Args:
        work_dir: Its work directory.
        step: How many steps its checkpoint has.

    Example:
        >>> is_marked_finished('no/such/folder', 100)
        False
    """
    try:
        return Path(work_dir, FINISHED).read_text().strip() == str(step)
    except (OSError, UnicodeDecodeError):
        return False
