"""Lets channels-last feature maps into code that reads them as contiguous.

This package's ConvNeXt gives channels-last maps, and so do convolutions behind it. Most of mmdet, mmseg and PyTorch
takes them as they are. What does not is mended here, at the place that needs a copy.
"""

import functools
import sys

import torch
from torch import Tensor, nn
from torch.autograd import Function

from convnext_dense.compat.imports.mmcv_ext import is_mmcv_compiled


def let_heatmaps_be_channels_last() -> None:
    """Make mmdet's CenterNet and CornerNet find the peaks of heatmaps of any memory format.

    mmdet 3.3.0 flattens the heatmap by `view`, which fails for channels-last ones.

    Example:
        >>> let_heatmaps_be_channels_last()
        >>> from mmdet.models.utils import get_topk_from_heatmap
    """
    from mmdet.models.utils import gaussian_target

    find_peaks = gaussian_target.get_topk_from_heatmap

    @functools.wraps(find_peaks)
    def find_peaks_of_any_format(scores: Tensor, k: int = 20) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        return find_peaks(scores.contiguous(), k)

    gaussian_target.get_topk_from_heatmap = find_peaks_of_any_format


def let_dynamic_filters_be_channels_last() -> None:
    """Make mmseg's DMNet take feature maps of any memory format.

    mmseg 1.2.2 moves the batch into the channels by `view`, which fails after convolutions of channels-last maps.

    Example:
        >>> let_dynamic_filters_be_channels_last()
        >>> from mmseg.models.decode_heads import DMHead
    """
    from mmseg.models.decode_heads.dm_head import DCM

    build = DCM.__init__

    @functools.wraps(build)
    def build_with_contiguous_convolutions(self: DCM, *args: object, **kwargs: object) -> None:
        build(self, *args, **kwargs)  # pyrefly: ignore[bad-argument-type]
        for name in ('filter_gen_conv', 'input_redu_conv'):
            self.get_submodule(name).register_forward_hook(_make_output_contiguous)

    DCM.__init__ = build_with_contiguous_convolutions


def _make_output_contiguous(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
    return output.contiguous()


def give_compiled_mmcv_contiguous_tensors() -> None:
    """Make the operators of a compiled mmcv get contiguous tensors, and none of bfloat16. The stand-in takes any.

    mmcv's kernels read memory as contiguous, most without a check: RoIAlign pools wrong pixels of channels-last maps
    and says nothing (https://github.com/open-mmlab/mmcv/issues/2203). They have no form for bfloat16.

    Example:
        >>> give_compiled_mmcv_contiguous_tensors()
    """
    if not is_mmcv_compiled():
        return
    for name, module in list(sys.modules.items()):
        if name.startswith('mmcv.ops.'):
            for value in vars(module).values():
                # The class itself is imported there, too.
                if isinstance(value, type) and issubclass(value, Function) and value is not Function:
                    make_readable_first(value)


def make_readable_first(function: type[Function]) -> None:
    """Make an autograd function copy tensors that are not contiguous, and compute in float32 where they are bfloat16.

    Calling it again changes nothing.

    Args:
        function: The function, which is changed.

    Example:
        >>> class IsContiguous(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return torch.tensor(x.is_contiguous())
        >>> make_readable_first(IsContiguous)
        >>> IsContiguous.apply(torch.rand(2, 3).T)
        tensor(True)
    """
    forward, backward = function.forward, function.backward
    if getattr(forward, 'reads_contiguous_tensors', False):
        return

    # Both are static methods, and all of their arguments are positional.
    @functools.wraps(forward)
    def forward_of_readable(*arguments: object) -> object:
        outputs = forward(*map(_readable, arguments))
        return _in_bfloat16(outputs) if any(map(_is_bfloat16, arguments)) else outputs

    @functools.wraps(backward)
    def backward_of_readable(ctx: object, *gradients: object) -> object:
        return backward(ctx, *map(_readable, gradients))

    forward_of_readable.reads_contiguous_tensors = True
    function.forward, function.backward = staticmethod(forward_of_readable), staticmethod(backward_of_readable)


def _is_bfloat16(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bfloat16


def _readable(value: object) -> object:
    if not isinstance(value, Tensor):
        return value
    return (value.float() if _is_bfloat16(value) else value).contiguous()


def _in_bfloat16(outputs: object) -> object:
    if isinstance(outputs, tuple):
        return tuple(map(_in_bfloat16, outputs))
    return outputs.bfloat16() if isinstance(outputs, Tensor) and outputs.dtype == torch.float32 else outputs
