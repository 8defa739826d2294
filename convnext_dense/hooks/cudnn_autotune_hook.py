"""Has cuDNN time its kernels only where shapes stay few."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.registry import HOOKS


@HOOKS.register_module()
class CudnnAutotuneHook(Hook):
    """Turns cuDNN's autotuning on in training while its convolutions see few shapes, and off for good after that.

    Autotuning times every kernel at each new shape. For crops of one size that pays once; at multi-scale training,
    and for RoI heads, whose number of boxes varies, it stalls again and again. Validation and testing run without.

    Args:
        max_shapes: With more distinct shapes of an image batch, or of the inputs of a RoI head, it is turned off.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.CudnnAutotuneHook')]
    """

    def __init__(self, max_shapes: int = 4) -> None:
        self.max_shapes = max_shapes
        self.shapes: dict[str, set[torch.Size]] = {}
        self._on = True
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def before_train(self, runner: Runner) -> None:
        """Begin to count shapes."""
        model = getattr(runner.model, 'module', runner.model)
        self._handles = [model.data_preprocessor.register_forward_hook(self._see_images)]
        for name, head in _roi_heads(model).items():
            self._handles.append(head.register_forward_pre_hook(self._seer(name)))
        torch.backends.cudnn.benchmark = self._on
        print_log(
            f"cuDNN's autotuning is on, until training has seen more than {self.max_shapes} shapes.", logger='current'
        )

    def before_val(self, runner: Runner) -> None:
        """Leave validation's shapes alone."""
        torch.backends.cudnn.benchmark = False

    def after_val(self, runner: Runner) -> None:
        """Go on as before it."""
        torch.backends.cudnn.benchmark = self._on

    def after_train(self, runner: Runner) -> None:
        """Count no more."""
        self._stop_counting()

    def _see_images(self, preprocessor: nn.Module, args: tuple, batch: dict) -> None:
        if isinstance(batch.get('inputs'), Tensor):
            self._see('images', batch['inputs'].shape)

    def _seer(self, name: str):  # noqa: ANN202 - a hook
        return lambda head, args: self._see(name, args[0].shape)

    def _see(self, name: str, shape: torch.Size) -> None:
        if not torch.is_grad_enabled():
            return
        seen = self.shapes.setdefault(name, set())
        seen.add(shape)
        if len(seen) > self.max_shapes:
            self._on = torch.backends.cudnn.benchmark = False
            self._stop_counting()
            print_log(
                f"cuDNN's autotuning is off from here: {name} came in more than {self.max_shapes} shapes.",
                logger='current',
            )

    def _stop_counting(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def _roi_heads(model: nn.Module) -> dict[str, nn.Module]:
    """Return the RoI heads by name, of each stage."""
    heads = {}
    for name, module in getattr(model, 'roi_head', nn.Module()).named_children():
        if name.endswith('_head'):
            stages = module if isinstance(module, nn.ModuleList) else [module]
            heads |= {f"the RoI head's {name}": stage for stage in stages}
    return heads
