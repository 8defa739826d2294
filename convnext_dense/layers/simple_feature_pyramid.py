"""A feature pyramid made from the single map of a plain vision transformer."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from convnext_dense.layers.layer_norm import LayerNorm2d


class SimpleFeaturePyramid(nn.Module):
    """ViTDet's simple feature pyramid, whose levels are all made from one map.

    A transposed convolution of stride 2, which halves the channels, makes a level of half the map's stride; two of
    them, with LayerNorm and GELU between, make a level of a quarter. Max pooling makes levels of larger strides. Every
    level ends in a 1x1 and a 3x3 convolution, each followed by LayerNorm.

    Args:
        in_channels: Channels of the map.
        in_stride: Stride of the map in pixels, a power of 2.
        out_strides: Strides of the levels in pixels, powers of 2.
        out_channels: Channels of every level.

    Shape:
        (N, in_channels, H, W) to a tuple of (N, out_channels, H * in_stride / s, W * in_stride / s).

    Reference:
        `Exploring Plain Vision Transformer Backbones for Object Detection <https://arxiv.org/abs/2203.16527>`_

    Example:
        >>> import torch
        >>> pyramid = SimpleFeaturePyramid(384, 16, (4, 8, 16, 32))
        >>> [tuple(level.shape) for level in pyramid(torch.rand(1, 384, 4, 6))]
        [(1, 256, 16, 24), (1, 256, 8, 12), (1, 256, 4, 6), (1, 256, 2, 3)]
    """

    def __init__(self, in_channels: int, in_stride: int, out_strides: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _level(in_channels, in_stride, out_stride, out_channels) for out_stride in out_strides
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the levels of the map `x`, (N, in_channels, H, W)."""
        return tuple(level(x) for level in self.levels)


def _level(channels: int, in_stride: int, out_stride: int, out_channels: int) -> nn.Sequential:
    halvings = (in_stride // out_stride).bit_length() - 1
    widths = [channels // 2**i for i in range(max(halvings, 0) + 1)]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        if layers:
            layers += [LayerNorm2d(before), nn.GELU()]
        layers.append(nn.ConvTranspose2d(before, after, 2, 2))
    if out_stride > in_stride:
        layers.append(nn.MaxPool2d(out_stride // in_stride))
    layers += [nn.Conv2d(widths[-1], out_channels, 1, bias=False), LayerNorm2d(out_channels)]
    layers += [nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False), LayerNorm2d(out_channels)]
    return nn.Sequential(*layers)
