"""Leaves out an update whose loss or gradients are not finite, before it changes a weight."""

from collections.abc import Callable
from functools import partial

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from convnext_dense.training.checkpoints.optimizer_state import wrappers_of
from convnext_dense.training.steps.finite import are_finite


class UpdateGuard:
    """Looks at the gradients before each update, and takes them away if one of their values is not finite.

    An optimizer leaves a parameter without a gradient as it is, with all that it remembers of it. The device is waited
    for once an update, as clipping by the norm does too. A loss scaler, which looks at the gradients itself, is left
    to it.

    In one process, the loss counts as well. Several have the same gradients, and so decide the same; their losses are
    their own.

    Args:
        optim_wrapper: The runner's.
        is_sharded: Whether each process has other gradients, as in FSDP.

    Example:
        >>> weight = nn.Parameter(torch.ones(1))
        >>> wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.1))
        >>> guard = UpdateGuard(wrapper)
        >>> wrapper.update_params((weight * torch.inf).sum())
        >>> guard.left_out, weight.item()
        (True, 1.0)
    """

    def __init__(self, optim_wrapper: OptimWrapper | dict | None, is_sharded: bool = False) -> None:
        self._is_sharded = is_sharded
        self._wrappers = wrappers_of(optim_wrapper)
        self._scales = any(_scales(wrapper) for wrapper in self._wrappers)
        self._optimizers = [wrapper.optimizer for wrapper in self._wrappers]
        self._handles = [optimizer.register_step_pre_hook(self._look) for optimizer in self._optimizers]
        for wrapper in self._wrappers:
            # An attribute of the object, which hides its class's method.
            vars(wrapper)['update_params'] = partial(self._update_params, type(wrapper).update_params, wrapper)
        self.reset()

    def reset(self) -> None:
        """Forget the last step."""
        self.left_out = False
        # The gradients of an update that was left out, by parameter.
        self.gradients: list[tuple[nn.Parameter, Tensor]] = []
        self._updates = 0
        self._found_inf: list[Tensor] = []
        self._losses: list[Tensor] = []

    def remove(self) -> None:
        """Look at no more updates."""
        for handle in self._handles:
            handle.remove()
        for wrapper in self._wrappers:
            vars(wrapper).pop('update_params', None)
        self.reset()

    @property
    def is_update_due(self) -> bool:
        """Whether the step that was just made ends with an update, rather than with gradients that are accumulated."""
        return all(wrapper.should_update() for wrapper in self._wrappers)

    def scaler_left_out(self) -> bool:
        """Return whether a loss scaler left out the update of the step that was just made. All processes agree."""
        if not self._scales or not self.is_update_due:
            return False
        return self._updates == 0 or any(bool(found.item()) for found in self._found_inf)

    def has_bad_gradients(self) -> bool:
        """Return whether gradients that were accumulated in this process are not finite. The device is waited for."""
        gradients = [
            parameter.grad
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        ]
        return not are_finite(gradients)

    def _update_params(self, update: Callable, wrapper: OptimWrapper, loss: Tensor, **kwargs: dict | None) -> None:
        self._losses.append(loss.detach())
        update(wrapper, loss, **kwargs)

    def _look(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        self._updates += 1
        if self._scales:
            # A fused optimizer leaves the update out on the device.
            found = getattr(optimizer, 'found_inf', None)
            self._found_inf += [] if found is None else [found.detach()]
            return
        with_gradient = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        losses = self._losses if get_world_size() == 1 else []
        values = [parameter.grad for parameter in with_gradient] + [loss.reshape(1) for loss in losses]
        is_finite = are_finite(values)
        if self._is_sharded and values:
            flag = torch.tensor(is_finite, dtype=torch.int32, device=values[0].device)
            all_reduce(flag, 'min')
            is_finite = bool(flag)
        if is_finite:
            return
        self.left_out = True
        for parameter in with_gradient:
            self.gradients.append((parameter, parameter.grad))
            parameter.grad = None


def _scales(wrapper: OptimWrapper) -> bool:
    scaler = getattr(wrapper, 'loss_scaler', None)
    return scaler is not None and scaler.is_enabled()
