"""Trains in bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from convnext_dense.errors import UsageError
from convnext_dense.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Computes the losses in bfloat16 where that is safe, by autocast on the model's own device, a CPU too.

    Weights, gradients and the optimizer's state are float32. bfloat16 has float32's range, so the loss is not scaled.
    mmengine's ``AmpOptimWrapper(dtype='bfloat16')`` scales it all the same: each step divides the gradients, looks for
    infinities among them, and waits for the GPU to say whether it found any.

    Three of mmcv's operators get float32. RoIAlign and deformable attention turn boxes and locations to the type of
    the feature maps, and bfloat16 has whole pixels only up to 256; deformable attention and the sigmoid focal loss
    have no bfloat16 form on a GPU.

    Raises:
        UsageError: In the first step, if the GPU does not compute in bfloat16.

    Example:
        >>> optim_wrapper = dict(type='convnext_dense.BFloat16OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
    """

    _prepared = False

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16, beside what mmengine does to accumulate gradients.

        Args:
            model: What is trained.
        """
        device = next(model.parameters()).device
        if not self._prepared:
            if device.type == 'cuda':
                _check_gpu()
            _keep_in_float32(model)
            self._prepared = True
        with super().optim_context(model), torch.autocast(device.type, dtype=torch.bfloat16):
            yield


def _check_gpu() -> None:
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UsageError(
            f'BFloat16OptimWrapper: {torch.cuda.get_device_name()} does not compute in bfloat16, which GPUs from '
            'Ampere on do; use AmpOptimWrapper, or leave bf16 out.'
        )


def _keep_in_float32(model: nn.Module) -> None:
    # Here, so that importing this package loads none of mmcv's operators.
    from mmcv.ops import MultiScaleDeformableAttention
    from mmdet.models.losses import FocalLoss
    from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor

    for module in model.modules():
        if isinstance(module, BaseRoIExtractor):
            module.register_forward_pre_hook(_float_maps)
        elif isinstance(module, MultiScaleDeformableAttention):
            # The type of the values is that in which the attention's operator runs.
            module.value_proj.register_forward_hook(_float_output)
        elif isinstance(module, FocalLoss):
            module.register_forward_pre_hook(_float_arguments, with_kwargs=True)


def _float_maps(extractor: nn.Module, args: tuple) -> tuple:
    maps: tuple[Tensor, ...] = args[0]
    return tuple(each.float() for each in maps), *args[1:]


def _float_output(projection: nn.Module, args: tuple, output: Tensor) -> Tensor:
    return output.float()


def _float_arguments(loss: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    return tuple(_float(each) for each in args), {name: _float(value) for name, value in kwargs.items()}


def _float(value: object) -> object:
    # Labels stay whole numbers.
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
