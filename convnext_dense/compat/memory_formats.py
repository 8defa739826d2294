"""Lets channels-last feature maps into code that reads them as contiguous.

This package's ConvNeXt gives channels-last maps, and so do convolutions behind it. Most of mmdet, mmseg and PyTorch
takes them as they are. What does not is mended here, at the place that needs a copy.
"""

import functools
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

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
    """Make the operators of a compiled mmcv get contiguous tensors. The stand-in takes any.

    mmcv's kernels read memory as contiguous, most without a check: RoIAlign pools wrong pixels of channels-last maps
    and says nothing (https://github.com/open-mmlab/mmcv/issues/2203).

    Example:
        >>> give_compiled_mmcv_contiguous_tensors()
    """
    if not is_mmcv_compiled():
        return
    for name, module in list(sys.modules.items()):
        if name.startswith('mmcv.ops.'):
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, torch.autograd.Function):
                    make_contiguous_first(value)


def make_contiguous_first(function: type[torch.autograd.Function]) -> None:
    """Make an autograd function copy tensors that are not contiguous, before its forward pass.

    Calling it again changes nothing.

    Args:
        function: The function, which is changed.

    Example:
        >>> class IsContiguous(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return torch.tensor(x.is_contiguous())
        >>> make_contiguous_first(IsContiguous)
        >>> IsContiguous.apply(torch.rand(2, 3).T)
        tensor(True)
    """
    forward = function.forward
    if getattr(forward, 'makes_contiguous', False):
        return
    # 'forward' is a static method, and all of its arguments are positional.
    function.forward = staticmethod(_contiguous_first(forward))


def _contiguous_first(forward: Callable) -> Callable:
    @functools.wraps(forward)
    def forward_of_contiguous(*arguments: object) -> object:
        return forward(*(argument.contiguous() if isinstance(argument, Tensor) else argument for argument in arguments))

    forward_of_contiguous.makes_contiguous = True
    return forward_of_contiguous
