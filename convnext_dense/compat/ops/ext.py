"""Stands in for the extension module ``mmcv._ext``; `compat/mmcv_ext.py` loads it under that name."""

from collections.abc import Callable
from typing import NoReturn

import torch
import torchvision

from convnext_dense.compat.ops.deform_attn import ms_deform_attn_backward, ms_deform_attn_forward
from convnext_dense.compat.ops.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from convnext_dense.compat.ops.focal_loss import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from convnext_dense.compat.ops.nms import nms, nms_match, softnms
from convnext_dense.compat.ops.roi_align import roi_align_backward, roi_align_forward
from convnext_dense.compat.ops.roi_pool import roi_pool_backward, roi_pool_forward

__all__ = [
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
    'deform_conv_forward',
    'get_compiler_version',
    'get_compiling_cuda_version',
    'modulated_deform_conv_backward',
    'modulated_deform_conv_forward',
    'ms_deform_attn_backward',
    'ms_deform_attn_forward',
    'nms',
    'nms_match',
    'roi_align_backward',
    'roi_align_forward',
    'roi_pool_backward',
    'roi_pool_forward',
    'sigmoid_focal_loss_backward',
    'sigmoid_focal_loss_forward',
    'softmax_focal_loss_backward',
    'softmax_focal_loss_forward',
    'softnms',
]


def get_compiler_version() -> str:
    """Return the origin of the operators, for mmcv's environment report."""
    return f'none; operators by torchvision {torchvision.__version__}'


def get_compiling_cuda_version() -> str:
    """Return the CUDA version that the kernels of the operators were built with."""
    return torch.version.cuda or 'not available'


def __getattr__(name: str) -> Callable[..., NoReturn]:
    # mmcv checks at import that every operator exists, so a missing one must fail only when it is called.
    if name.startswith('_'):
        raise AttributeError(name)

    def unsupported(*_args: object, **_kwargs: object) -> NoReturn:
        raise NotImplementedError(
            f"mmcv's operator '{name}' has no torchvision or PyTorch form in convnext_dense.compat; "
            'install a compiled mmcv 2.1.0 (`pip install mmcv==2.1.0` builds it) to use it.'
        )

    return unsupported
