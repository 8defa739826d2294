"""Ends what changes whole batches before the last epochs."""

from typing import Any, cast

from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.registry import HOOKS
from convnext_dense.training.unwrap import unwrap


@HOOKS.register_module()
class BatchAugmentsSwitchHook(Hook):
    """Turns off the data preprocessor's `batch_augments`, such as BatchRandomResize.

    mmdet's PipelineSwitchHook changes only what is done to single images.

    Args:
        switch_epoch: The first epoch without them, counted from 0.

    Example:
        >>> BatchAugmentsSwitchHook(switch_epoch=72).switch_epoch
        72
    """

    def __init__(self, switch_epoch: int) -> None:
        self.switch_epoch = switch_epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Turn them off from `switch_epoch` on, in a resumed run too."""
        if runner.epoch >= self.switch_epoch:
            cast(Any, unwrap(runner.model)).data_preprocessor.batch_augments = None
