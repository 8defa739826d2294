"""Writes checkpoints whole or not at all, and deletes none before the one that follows it is there."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from convnext_dense.errors import RunError
from convnext_dense.registry import HOOKS
from convnext_dense.training.processes.joint_log import share_losses
from convnext_dense.training.resuming.training_state import TRAINING_STATE, collect_state

UNFINISHED = '.unfinished'


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
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        unfinished = Path(out_dir, filename + UNFINISHED)
        try:
            super().save_checkpoint(out_dir, unfinished.name, *args, **kwargs)
            # The others must not take the file from the first one while it writes.
            if is_main_process():
                _to_disk(unfinished)
                unfinished.replace(unfinished.with_name(filename))
                _to_disk(unfinished.parent)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise RunError(
                f'{Path(out_dir, filename)} cannot be written: {error.strerror}. The checkpoints before it are kept; '
                'resume goes on from the last one.'
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

    mmengine deletes first, so that a run which is killed between has lost both.
    """

    _removals: list[str] | None = None
    _state: dict | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state of the run, where the optimizer's is saved, too."""
        if self._state and 'optimizer' in checkpoint:
            checkpoint[TRAINING_STATE] = self._state

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        # Here, where all processes come by.
        share_losses(runner)
        self._state = collect_state(runner)
        with self._removing_at_the_end():
            super()._save_checkpoint_with_step(runner, step, meta)

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
