"""Finds the checkpoint that a run resumes from."""

import re
from pathlib import Path

from mmengine.config import Config

from convnext_dense.config.find import check_file
from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.regular_files import read_text
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.weights.storage.files import read_file

# Whose optimizer settings and schedules a resumed run follows.
RESUME_WITH = ('checkpoint', 'config')
# What mmengine calls the checkpoints of a training, and that of one which a signal stopped.
NUMBERED = re.compile(r'(epoch|iter|stopped_iter)_(\d+)\.pth')
LAST = 'last_checkpoint'


def set_resume(cfg: Config, checkpoint: str = 'auto', resume_with: str = 'checkpoint') -> None:
    """Resume from a checkpoint, and say so if it is another than asked for.

    Args:
        cfg: The config, which is changed.
        checkpoint: A file, or 'auto' for the latest in the work directory: the one that ``last_checkpoint`` names, or,
            if that cannot be read, the newest that can. If there is none, training starts at the beginning.
        resume_with: Whose optimizer settings and schedules hold: 'checkpoint' or 'config'.

    Raises:
        UsageError: If `resume_with` is neither, there is no such file, or none of those in the work directory can be
            read.

    Example:
        >>> cfg = Config(dict(load_from='weights.pth', work_dir='work_dirs/new'))
        >>> set_resume(cfg)  # doctest: +ELLIPSIS
        resume: there is no checkpoint in work_dirs/new; training starts at the beginning.
        >>> cfg.resume, cfg.load_from
        (False, 'weights.pth')
    """
    if resume_with not in RESUME_WITH:
        raise UsageError(f'resume_with must be one of {", ".join(RESUME_WITH)}, not {resume_with!r}.')
    if resume_with != 'checkpoint':
        cfg.resume_with = resume_with
    if checkpoint != 'auto':
        check_file(checkpoint, 'resume')
        cfg.resume, cfg.load_from = True, checkpoint
        return
    file, remark = find_latest(Path(cfg.get('work_dir') or '.'))
    if remark:
        print(f'resume: {remark}.')
    cfg.resume = file is not None
    if file:
        cfg.load_from = str(file)


def find_latest(folder: Path) -> tuple[Path | None, str]:
    """Return the latest checkpoint in a work directory, and what is to be said of it.

    Raises:
        UsageError: If there are checkpoints, and none can be read.

    Example:
        >>> find_latest(Path('nowhere'))
        (None, 'there is no checkpoint in nowhere; training starts at the beginning')
    """
    last, problem = _last_checkpoint(folder)
    if last and not problem:
        return last, ''
    others = [file for file in folder.glob('*.pth') if NUMBERED.fullmatch(file.name) and file != last]
    if not others and not last:
        return None, f'there is no checkpoint in {folder}; training starts at the beginning'
    if file := _newest(others):
        return file, f'{problem}; resuming from {file}, the newest checkpoint there that can be read'
    raise UsageError(
        f'resume: {problem}, and no other checkpoint in {folder} can be read; move them away to start at the beginning.'
    )


def _last_checkpoint(folder: Path) -> tuple[Path | None, str]:
    """Return the file that ``last_checkpoint`` names, and why it cannot be resumed."""
    try:
        named = read_text(folder / LAST).strip()
    except (OSError, UnicodeDecodeError):
        return None, f'{folder / LAST} is missing'
    if not named:
        return None, f'{folder / LAST} is empty'
    # It holds an absolute path; the folder may have been moved or copied since.
    file = folder / Path(named).name
    if not file.is_file():
        file = Path(named)
    if not file.is_file():
        return None, f'{named}, which {folder / LAST} names, is missing'
    return file, _why_unreadable(file)


def _newest(files: list[Path]) -> Path | None:
    """Return the file with the most steps of those that can be read.

    Their names count epochs or steps, so the newest of each kind are compared by what they hold.
    """
    kinds: dict[str, list[Path]] = {}
    for file in sorted(files, key=lambda file: int(NUMBERED.fullmatch(file.name)[2]), reverse=True):
        kinds.setdefault(NUMBERED.fullmatch(file.name)[1], []).append(file)
    newest = (next((file for file in kind if not _why_unreadable(file)), None) for kind in kinds.values())
    return max(filter(None, newest), key=_steps, default=None)


def _steps(file: Path) -> int:
    meta = read_file(file).get('meta')
    steps = meta.get('iter') if isinstance(meta, dict) else None
    return steps if isinstance(steps, int) else -1


def _why_unreadable(file: Path) -> str:
    try:
        read_file(file)
        verify_checksums(file)
    except CheckpointError as error:
        return str(error).rstrip('.')
    return ''
