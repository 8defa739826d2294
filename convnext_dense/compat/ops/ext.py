"""Stands in for the extension module ``mmcv._ext``; `compat/imports/mmcv_ext.py` loads it under that name."""

from collections.abc import Callable
from typing import NoReturn

import torch
import torchvision

from convnext_dense.compat.ops.carafe import (
    carafe_backward,
    carafe_forward,
    carafe_naive_backward,
    carafe_naive_forward,
)
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
from convnext_dense.compat.ops.masked_conv import masked_col2im_forward, masked_im2col_forward
from convnext_dense.compat.ops.nms import nms, nms_match, softnms
from convnext_dense.compat.ops.psa_mask import psamask_backward, psamask_forward
from convnext_dense.compat.ops.roi.align import roi_align_backward, roi_align_forward
from convnext_dense.compat.ops.roi.deform_pool import deform_roi_pool_backward, deform_roi_pool_forward
from convnext_dense.compat.ops.roi.pool import roi_pool_backward, roi_pool_forward

__all__ = [
    'carafe_backward',
    'carafe_forward',
    'carafe_naive_backward',
    'carafe_naive_forward',
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
    'deform_conv_forward',
    'deform_roi_pool_backward',
    'deform_roi_pool_forward',
    'get_compiler_version',
    'get_compiling_cuda_version',
    'masked_col2im_forward',
    'masked_im2col_forward',
    'modulated_deform_conv_backward',
    'modulated_deform_conv_forward',
    'ms_deform_attn_backward',
    'ms_deform_attn_forward',
    'nms',
    'nms_match',
    'psamask_backward',
    'psamask_forward',
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
            'install a compiled mmcv to use it. `pip install mmcv==2.1.0` builds one, and so does '
            '`pip install --no-build-isolation onedl-mmcv`.'
        )

    return unsupported
