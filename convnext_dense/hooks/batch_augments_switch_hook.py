"""Ends what changes whole batches before the last epochs."""

from typing import Any, cast

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from convnext_dense.errors import UsageError
from convnext_dense.registry import HOOKS
from convnext_dense.training.unwrap import unwrap


@HOOKS.register_module()
class BatchAugmentsSwitchHook(Hook):
    """Turns off the data preprocessor's `batch_augments`, such as BatchRandomResize.

    mmdet's PipelineSwitchHook changes only what is done to single images.

    Args:
        switch_epoch: The first epoch without them, counted from 0.

    Raises:
        UsageError: If the data preprocessor has none.

    Example:
        >>> BatchAugmentsSwitchHook(switch_epoch=72).switch_epoch
        72
    """

    def __init__(self, switch_epoch: int) -> None:
        self.switch_epoch = switch_epoch

    def before_train(self, runner: Runner) -> None:
        """Look whether there is something to turn off."""
        if runner.epoch < self.switch_epoch and not getattr(_preprocessor(runner), 'batch_augments', None):
            name = type(_preprocessor(runner)).__name__
            raise UsageError(
                f'custom_hooks: BatchAugmentsSwitchHook has nothing to turn off; {name} has no batch_augments.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Turn them off from `switch_epoch` on, in a resumed run too."""
        preprocessor = _preprocessor(runner)
        if runner.epoch >= self.switch_epoch and preprocessor.batch_augments:
            preprocessor.batch_augments = None
            print_log('Batches keep their size from here on.', logger='current')


def _preprocessor(runner: Runner) -> Any:  # noqa: ANN401 - any registered one
    return cast(Any, unwrap(runner.model)).data_preprocessor
