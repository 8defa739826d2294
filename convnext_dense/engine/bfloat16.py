"""Trains in bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from convnext_dense.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Computes the losses in bfloat16 where that is safe, by autocast on the model's own device, a CPU too.

    Weights, gradients and the optimizer's state are float32. bfloat16 has float32's range, so the loss is not scaled.
    mmengine's ``AmpOptimWrapper(dtype='bfloat16')`` scales it all the same: each step divides the gradients, looks for
    infinities among them, and waits for the GPU to say whether it found any.

    Boxes stay in float32: mmdet's RoI extractors turn them to the type of the feature maps, and bfloat16 has whole
    pixels only up to 256. The extractors get float32 maps for that, which RoIAlign computes in anyway.

    Example:
        >>> optim_wrapper = dict(type='convnext_dense.BFloat16OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
    """

    _extractors_found = False

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16, beside what mmengine does to accumulate gradients.

        Args:
            model: What is trained.
        """
        if not self._extractors_found:
            for module in model.modules():
                if isinstance(module, BaseRoIExtractor):
                    module.register_forward_pre_hook(_in_float32)
            self._extractors_found = True
        device = next(model.parameters()).device
        with super().optim_context(model), torch.autocast(device.type, dtype=torch.bfloat16):
            yield


def _in_float32(extractor: nn.Module, args: tuple) -> tuple:
    maps: tuple[Tensor, ...] = args[0]
    return tuple(each.float() for each in maps), *args[1:]
