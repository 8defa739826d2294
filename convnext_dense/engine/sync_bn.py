"""SyncBN where PyTorch has none."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from torch.nn import SyncBatchNorm

from convnext_dense.registry import HOOKS


@HOOKS.register_module()
class RevertSyncBNHook(Hook):
    """Turns SyncBN into BN before distributed training without GPUs, and says so once.

    PyTorch's SyncBN needs GPUs; in a single process mmengine itself turns it into BN. The layers keep their
    parameters, and checkpoints stay interchangeable. The tools add this hook where it is needed.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.RevertSyncBNHook')]
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the runner's model in place."""
        layers = sum(isinstance(module, SyncBatchNorm) for module in runner.model.modules())
        if layers and not torch.cuda.is_available():
            runner.model = revert_sync_batchnorm(runner.model)
            print_log(f'{layers} SyncBN layers became BN: there is no GPU.', logger='current')
