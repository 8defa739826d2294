"""Ends a training that was asked to stop, after its step, and saves it."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, barrier, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import Runner

from convnext_dense.errors import RunStopped
from convnext_dense.registry import HOOKS
from convnext_dense.training.checkpoints.stop_checkpoint import save_stop_checkpoint
from convnext_dense.training.quiet_start import FILE_ONLY
from convnext_dense.training.stop_request import REQUEST


@HOOKS.register_module()
class StopHook(Hook):
    """Saves a checkpoint and ends the training after the step in which a signal asked for it.

    Of several processes, one that gets the signal stops all of them after the same step: they exchange a number each
    step. A validation is stopped after its batch. If the checkpoint of the step is there already, none is saved.

    Raises:
        RunStopped: When the training was asked to stop.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.StopHook')]
    """

    # After CheckpointHook, which may save this step.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._is_training = False
        self._resumed_step = 0
        self._shared_batches = 0

    def before_train(self, runner: Runner) -> None:
        """Answer signals after steps from now on."""
        self._resumed_step = runner.iter
        self._is_training = True
        REQUEST.begin()

    def after_train(self, runner: Runner) -> None:
        """Note that there are no more steps."""
        self._is_training = False

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Stop after the step."""
        if _is_asked():
            self._stop(runner, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Find how many batches each process has at least: they talk after each of these."""
        if not self._is_training:
            return
        count = torch.tensor(len(runner.val_dataloader))
        if get_world_size() > 1:
            all_reduce(count, 'min')
        self._shared_batches = int(count)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Stop the validation."""
        if self._is_training and batch_idx < self._shared_batches and _is_asked():
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    # The average is validated in place of the weights, and would be saved in place of them, too.
                    hook.after_val_epoch(runner)
            self._stop(runner, runner.iter)

    def _stop(self, runner: Runner, step: int) -> None:
        checkpoint = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        saved_steps = (self._resumed_step, getattr(checkpoint, 'saved_step', None))
        remedy = 'nothing is saved, since the config has no CheckpointHook'
        if checkpoint is not None and step in saved_steps:
            remedy = 'resume goes on from there, which was saved before'
        elif checkpoint is not None:
            remedy = f'resume goes on from {save_stop_checkpoint(runner, checkpoint, runner.epoch, step)}'
        # A launcher ends the others when one ends.
        barrier()
        REQUEST.answer()
        message = f'{REQUEST.signal_name or "a signal to another process"} after step {step}; {remedy}.'
        runner.logger.info(f'stopped: {message}', extra=FILE_ONLY)
        raise RunStopped(message if is_main_process() else '')


def _is_asked() -> bool:
    is_asked = torch.tensor(int(bool(REQUEST.signal_name)))
    if get_world_size() > 1:
        all_reduce(is_asked, 'max')
    return bool(is_asked)
