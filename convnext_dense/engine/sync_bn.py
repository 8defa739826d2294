"""SyncBN where there is nothing to synchronise."""

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from torch.nn import SyncBatchNorm

from convnext_dense.registry import HOOKS


@HOOKS.register_module()
class RevertSyncBNHook(Hook):
    """Turns SyncBN into BN before a run of one process, or of any number without a GPU, and says so once.

    PyTorch's SyncBN needs GPUs. The layers keep their parameters, and checkpoints stay interchangeable.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.RevertSyncBNHook')]
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the runner's model in place."""
        if get_world_size() > 1 and torch.cuda.is_available():
            return
        layers = sum(isinstance(module, SyncBatchNorm) for module in runner.model.modules())
        if layers == 0:
            return
        runner.model = revert_sync_batchnorm(runner.model)
        print_log(f'{layers} SyncBN layers became BN: there is one process, or no GPU.', logger='current')
