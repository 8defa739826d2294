"""Trains in bfloat16."""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from convnext_dense.errors import UsageError
from convnext_dense.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Computes the losses in bfloat16, by autocast on the model's own device, which may be a CPU.

    Weights, gradients and the optimizer's state stay float32. bfloat16 has float32's range, so the loss is not scaled.
    mmengine's ``AmpOptimWrapper(dtype='bfloat16')`` scales it nevertheless: every step divides the gradients, checks
    them for infinities, and waits for the GPU to report the result.

    Three of mmcv's operators compute in float32. RoIAlign and deformable attention cast boxes and locations to the
    type of the feature maps, and bfloat16 represents whole pixels only up to 256. Deformable attention and the sigmoid
    focal loss have no bfloat16 kernel for GPUs.

    Raises:
        UsageError: In the first step, if the GPU cannot compute in bfloat16.

    Example:
        >>> optim_wrapper = dict(type='convnext_dense.BFloat16OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
    """

    _prepared = False

    @contextmanager
    def optim_context(self, model: nn.Module) -> Generator[None]:
        """Autocast to bfloat16, inside mmengine's own context, which accumulates gradients.

        Args:
            model: The model that is trained.
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
            f'BFloat16OptimWrapper: {torch.cuda.get_device_name()} cannot compute in bfloat16; it takes Ampere '
            'or later. Use AmpOptimWrapper, or leave bf16 out.'
        )


def _keep_in_float32(model: nn.Module) -> None:
    # Imported here because mmdet loads all of mmcv's operators.
    from mmcv.ops import MultiScaleDeformableAttention
    from mmdet.models.losses import FocalLoss
    from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor

    for module in model.modules():
        if isinstance(module, BaseRoIExtractor):
            module.register_forward_pre_hook(_float_maps)
        elif isinstance(module, MultiScaleDeformableAttention):
            # The attention's operator runs in the type of its values.
            module.value_proj.register_forward_hook(_float_output)
        elif isinstance(module, FocalLoss):
            module.register_forward_pre_hook(_float_arguments, with_kwargs=True)


def _float_maps(extractor: nn.Module, args: tuple) -> tuple:
    maps: tuple[Tensor, ...] = args[0]
    return tuple(level.float() for level in maps), *args[1:]


def _float_output(projection: nn.Module, args: tuple, output: Tensor) -> Tensor:
    return output.float()


def _float_arguments(loss: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    return tuple(_float(value) for value in args), {name: _float(value) for name, value in kwargs.items()}


def _float(value: object) -> object:
    # Labels stay integers.
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
