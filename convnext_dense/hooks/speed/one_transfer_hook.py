"""Fetches the values that a step logs from the GPU together."""

from collections.abc import Callable, Sequence
from functools import partial
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

    mmengine's RuntimeInfoHook fetches each by itself after each step, and its OptimWrapper the norm of the gradients
    before it updates the weights. Here that norm comes with the losses.

    Example:
        >>> outputs = dict(loss=torch.tensor(2.0), loss_cls=torch.tensor(1.5), lr=0.1)
        >>> OneTransferHook().after_train_iter(None, 0, outputs=outputs)
        >>> outputs
        {'loss': 2.0, 'loss_cls': 1.5, 'lr': 0.1}
    """

    # Before RuntimeInfoHook, which is VERY_HIGH.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._norm: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Keep the norm of the gradients on its device."""
        wrapper = runner.optim_wrapper
        # A runner may train twice, with the same wrapper.
        is_replaced = getattr(getattr(wrapper, 'clip_func', None), 'func', None) == self._clip
        if getattr(wrapper, 'clip_grad_kwargs', None) and not is_replaced:
            wrapper.clip_func = partial(self._clip, wrapper.clip_func)

    def _clip(self, clip: Callable[..., Tensor | None], parameters: Sequence[Tensor], **options: object) -> None:
        """Clip gradients, and return nothing, or mmengine would fetch it."""
        self._norm = clip(parameters, **options)

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
        scalars = {
            name: value
            for name, value in outputs.items()
            if isinstance(value, Tensor) and value.dtype in TYPES and value.numel() == 1
        }
        norm, self._norm = self._norm, None
        norms = [] if norm is None else [norm]
        values = [value.detach().reshape(()).float() for value in [*scalars.values(), *norms]]
        if not values:
            return
        numbers = torch.stack(values).tolist()
        if norms:
            wrapper = runner.optim_wrapper
            wrapper.message_hub.update_scalar(f'train/{wrapper.grad_name}', numbers.pop())
        outputs.update(zip(scalars, numbers, strict=True))
