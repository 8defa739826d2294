"""Writes checkpoints whole or not at all, and deletes none before the one that follows it is there."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from convnext_dense.errors import RunError, UsageError
from convnext_dense.registry import HOOKS
from convnext_dense.training.checkpoints.disk_space import expected_bytes, free_bytes, megabytes, tensor_bytes
from convnext_dense.training.checkpoints.stop_checkpoint import remove_stop_checkpoints
from convnext_dense.training.processes.joint_log import share_losses
from convnext_dense.training.resuming.finished import mark_finished, unmark_finished
from convnext_dense.training.resuming.training_state import TRAINING_STATE, note_state
from convnext_dense.weights.matching import describe_diverged
from convnext_dense.weights.storage.files import read_file
from convnext_dense.weights.storage.torch_saving import save_torch

UNFINISHED = '.unfinished'
# What only a training that goes on needs.
TRAINING_PARTS = ('optimizer', 'param_schedulers', TRAINING_STATE)


class WholeCheckpoints(Runner):
    """A runner whose checkpoints have their names once they are whole, and on the disk."""

    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        """Save a checkpoint, as mmengine's runner does.

        Args:
            out_dir: The folder.
            filename: Its name in the folder.
            *args: As in `Runner.save_checkpoint`.
            **kwargs: Likewise.

        Raises:
            RunError: If it cannot be written. What is there stays.
        """
        if '://' in out_dir or not is_main_process():
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with _whole(Path(out_dir, filename)) as unfinished:
            super().save_checkpoint(out_dir, unfinished.name, *args, **kwargs)


@contextmanager
def _whole(file: Path) -> Generator[Path]:
    """Yield the name under which to write a file. It gets its own when the block ends.

    Raises:
        RunError: If it cannot be written. What is there stays.
    """
    unfinished = file.with_name(file.name + UNFINISHED)
    try:
        yield unfinished
        _to_disk(unfinished)
        unfinished.replace(file)
        _to_disk(file.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RunError(
            f'{file} cannot be written: {error.strerror}. The checkpoints before it are kept; resume goes on from the '
            'last one.'
        ) from error


def _to_disk(path: Path) -> None:
    """Wait until a file or a folder is on the disk, and not in the system's memory alone."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's hook, which deletes what `max_keep_ckpts` and `save_best` replace after its successor was saved.

    mmengine deletes first, so that a run which is killed between has lost both. Before it saves, this one looks at the
    free space of the disk, and that the weights are finite.

    Args:
        *args: As in mmengine's `CheckpointHook`.
        drop_optimizer: Whether the last checkpoint of a training that is finished loses the state of the optimizer.
        **kwargs: As in mmengine's `CheckpointHook`.

    Raises:
        UsageError: Before training, if the disk has no room for a checkpoint.
        RunError: If it has none later, or weights that are not finite would be saved.

    Example:
        >>> default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, drop_optimizer=True))
    """

    _removals: list[str] | None = None

    def __init__(self, *args: Any, drop_optimizer: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - mmengine's
        super().__init__(*args, **kwargs)
        self.drop_optimizer = drop_optimizer
        # The step of the last checkpoint that a run can resume from.
        self.saved_step: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Find where to save, and whether there is room."""
        super().before_train(runner)
        self._leave_others_alone(runner)
        if not is_main_process():
            return
        unmark_finished(runner.work_dir)
        # Of a run that was killed while it saved.
        for unfinished in Path(self.out_dir).glob(f'*.pth{UNFINISHED}'):
            unfinished.unlink(missing_ok=True)
        needed, free = expected_bytes(runner.model, runner.optim_wrapper), free_bytes(self.out_dir)
        if free is not None and free < needed:
            raise UsageError(
                f'work_dir: a checkpoint of this training takes about {megabytes(needed)}, and {self.out_dir} has '
                f'{megabytes(free)} free; make room, or save to another disk.'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state of the run, where the optimizer's is saved, too; look at all that is saved, and for room."""
        if 'optimizer' in checkpoint and (state := getattr(runner, 'training_state', None)):
            checkpoint[TRAINING_STATE] = state
        for part in ('state_dict', 'ema_state_dict'):
            if problem := describe_diverged(checkpoint.get(part) or {}, f'the {part} of step {runner.iter}'):
                raise RunError(f'no checkpoint is saved: {problem}')
        needed, free = tensor_bytes(checkpoint), free_bytes(self.out_dir)
        if free is not None and free < needed:
            raise RunError(
                f'no checkpoint is saved: it takes {megabytes(needed)}, and {self.out_dir} has {megabytes(free)} free. '
                'The checkpoints before it are kept; resume goes on from the last one.'
            )

    def after_train(self, runner: Runner) -> None:
        """Publish what the config asks for, and drop the optimizer's state from the last checkpoint if it does."""
        super().after_train(runner)
        if not is_main_process():
            return
        mark_finished(runner.work_dir, runner.iter)
        if not self.drop_optimizer or self.last_ckpt is None:
            return
        file = Path(self.last_ckpt)
        if file.is_file():
            content = {key: value for key, value in read_file(file).items() if key not in TRAINING_PARTS}
            with _whole(file) as unfinished:
                save_torch(content, unfinished)

    def _leave_others_alone(self, runner: Runner) -> None:
        """Forget the best checkpoints of a run in another folder, which was resumed into this one: they stay there."""
        info, own = runner.message_hub.runtime_info, os.path.realpath(self.out_dir)
        for key in [key for key in info if key.startswith('best_ckpt')]:
            if not info[key] or os.path.realpath(os.path.dirname(info[key])) == own:
                continue
            runner.message_hub.update_info(key, None)
            indicator = key.removeprefix('best_ckpt').removeprefix('_')
            if not indicator:
                self.best_ckpt_path = None
            elif indicator in getattr(self, 'best_ckpt_path_dict', {}):
                self.best_ckpt_path_dict[indicator] = None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        # Here, where all processes come by.
        note_state(runner)
        with self._removing_at_the_end():
            super()._save_checkpoint_with_step(runner, step, meta)
        if self.save_optimizer:
            self.saved_step = meta['iter']
        if is_main_process():
            remove_stop_checkpoints(self.out_dir, meta['iter'])

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        share_losses(runner)
        progress = getattr(runner.train_loop, 'progress', None)
        if progress is not None:
            # What is saved here includes the scores.
            progress.has_validated = True
        with self._removing_at_the_end():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_at_the_end(self) -> Generator[None]:
        if self._removals is not None:
            # Saving the best one saves the last one again.
            yield
            return
        backend, self._removals = self.file_backend, []
        self.file_backend = _LaterRemovals(backend, self._removals)
        try:
            yield
            # A checkpoint of the same name was written again.
            kept = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *self._best_paths()}
            for path in self._removals:
                if path not in kept:
                    (backend.remove if backend.isfile(path) else backend.rmtree)(path)
        finally:
            self.file_backend, self._removals = backend, None

    def _best_paths(self) -> list[str]:
        return list(getattr(self, 'best_ckpt_path_dict', {}).values())


class _LaterRemovals:
    """A file backend that notes what is to be removed."""

    def __init__(self, backend: object, removals: list[str]) -> None:
        self._backend, self._removals = backend, removals

    def remove(self, path: str) -> None:
        self._removals.append(path)

    rmtree = remove

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)
