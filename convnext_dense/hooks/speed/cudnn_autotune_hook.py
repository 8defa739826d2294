"""Limits cuDNN's autotuning to runs with few shapes."""

from functools import partial

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.registry import HOOKS
from convnext_dense.training.unwrap import unwrap


@HOOKS.register_module()
class CudnnAutotuneHook(Hook):
    """Turns cuDNN's autotuning on in training, and off for good once the convolutions have seen too many shapes.

    Autotuning times every kernel at every new shape. With crops of one size that happens once. In multi-scale
    training, and in RoI heads, whose number of boxes varies, it stalls the run again and again. Validation and testing
    run without autotuning.

    Args:
        max_shapes: The largest number of distinct shapes, of image batches or of the inputs of a RoI head, with which
            autotuning stays on.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.CudnnAutotuneHook')]
    """

    def __init__(self, max_shapes: int = 4) -> None:
        self.max_shapes = max_shapes
        self.shapes: dict[str, set[torch.Size]] = {}
        self._on = True
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def before_train(self, runner: Runner) -> None:
        """Turn autotuning on, and begin to count shapes."""
        model = unwrap(runner.model)
        self._handles = [model.data_preprocessor.register_forward_hook(self._count_images)]
        for name, head in _roi_heads(model).items():
            self._handles.append(head.register_forward_pre_hook(partial(self._count_boxes, name)))
        torch.backends.cudnn.benchmark = self._on
        print_log(
            f"cuDNN's autotuning is on until training has seen more than {self.max_shapes} shapes.", logger='current'
        )

    def before_val(self, runner: Runner) -> None:
        """Turn autotuning off: validation has many shapes."""
        torch.backends.cudnn.benchmark = False

    def after_val(self, runner: Runner) -> None:
        """Restore the state before validation."""
        torch.backends.cudnn.benchmark = self._on

    def after_train(self, runner: Runner) -> None:
        """Stop counting."""
        self._stop_counting()

    def _count_images(self, preprocessor: nn.Module, args: tuple, batch: dict) -> None:
        if isinstance(batch.get('inputs'), Tensor):
            self._count('images', batch['inputs'].shape)

    def _count_boxes(self, name: str, head: nn.Module, args: tuple) -> None:
        self._count(name, args[0].shape)

    def _count(self, name: str, shape: torch.Size) -> None:
        if not torch.is_grad_enabled():
            return
        seen = self.shapes.setdefault(name, set())
        seen.add(shape)
        if len(seen) > self.max_shapes:
            self._on = torch.backends.cudnn.benchmark = False
            self._stop_counting()
            print_log(
                f"cuDNN's autotuning is off from here on: {name} came in more than {self.max_shapes} shapes.",
                logger='current',
            )

    def _stop_counting(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def _roi_heads(model: nn.Module) -> dict[str, nn.Module]:
    """Return the box heads and mask heads of every stage, by the names that the log uses."""
    heads = {}
    for name, module in getattr(model, 'roi_head', nn.Module()).named_children():
        if name.endswith('_head'):
            stages = module if isinstance(module, nn.ModuleList) else [module]
            heads |= {f"the RoI head's {name}": stage for stage in stages}
    return heads
