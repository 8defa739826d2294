"""Fetches the values that a step logs from the GPU together."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from convnext_dense.registry import HOOKS

TYPES = (torch.float32, torch.float16, torch.bfloat16)


@HOOKS.register_module()
class OneTransferHook(Hook):
    """Replaces the losses that a step returns by numbers, which are fetched from their device in one transfer.

    mmengine's RuntimeInfoHook fetches each by itself after each step.

    Example:
        >>> outputs = dict(loss=torch.tensor(2.0), loss_cls=torch.tensor(1.5), lr=0.1)
        >>> OneTransferHook().after_train_iter(None, 0, outputs=outputs)
        >>> outputs
        {'loss': 2.0, 'loss_cls': 1.5, 'lr': 0.1}
    """

    # Before RuntimeInfoHook, which is VERY_HIGH.
    priority = 'HIGHEST'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,  # noqa: ANN401 - mmengine's
        outputs: dict | None = None,
    ) -> None:
        """Fetch the values of the step."""
        outputs = outputs or {}
        # float32 holds each value of these.
        names = [name for name, value in outputs.items() if isinstance(value, Tensor) and value.dtype in TYPES]
        numbers = {name: outputs[name].detach().reshape(()).float() for name in names if outputs[name].numel() == 1}
        if numbers:
            outputs.update(zip(numbers, torch.stack(list(numbers.values())).tolist(), strict=True))
