"""The checkpoint of a training that was asked to stop: at any step, until the next regular one is there."""

import re
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from convnext_dense.training.resuming.training_state import note_state

NAME = 'stopped_iter_{}.pth'
PATTERN = re.compile(r'stopped_iter_(\d+)\.pth')


def save_stop_checkpoint(runner: Runner, hook: CheckpointHook, epoch: int, step: int) -> str:
    """Save a checkpoint outside of the hook's schedule, and have ``last_checkpoint`` name it.

    It has the optimizer's state whatever the hook saves, and is none of those that the hook keeps or deletes.

    Args:
        runner: The runner.
        hook: Where and how it saves.
        epoch: How many epochs are finished.
        step: How many steps are.

    Returns:
        The file.
    """
    note_state(runner)
    name = NAME.format(step)
    file = hook.file_backend.join_path(hook.out_dir, name)
    runner.message_hub.update_info('last_ckpt', file)
    runner.save_checkpoint(
        hook.out_dir,
        name,
        hook.file_client_args,
        meta=dict(epoch=epoch, iter=step),
        by_epoch=False,
        backend_args=hook.backend_args,
    )
    if is_main_process():
        Path(runner.work_dir, 'last_checkpoint').write_text(file)
    return file


def remove_stop_checkpoints(folder: str, step: int) -> None:
    """Remove those of earlier steps, once a regular checkpoint of this one is there.

    Args:
        folder: Where the checkpoints are. An address is not looked at.
        step: How many steps the regular checkpoint has.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, 'stopped_iter_7.pth').touch()
        ...     remove_stop_checkpoints(folder, 9)
        ...     list(Path(folder).iterdir())
        []
    """
    for file in Path(folder).glob(NAME.format('*')):
        match = PATTERN.fullmatch(file.name)
        if match and int(match[1]) <= step:
            file.unlink(missing_ok=True)
