"""The convolutional blocks of the hybrid encoder."""

import torch
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """A convolution without bias, BatchNorm, and SiLU if asked for.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel in cells; the input is padded by half of it.
        stride: Stride in cells.
        groups: Groups of the convolution.
        activate: Whether SiLU follows.

    Example:
        >>> ConvNorm(8, 16, 3, stride=2)(torch.rand(1, 8, 5, 4)).shape
        torch.Size([1, 16, 3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel_size - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.SiLU() if activate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the map `x`, (N, in_channels, H, W)."""
        return self.activation(self.norm(self.conv(x)))


class RepVGGBlock(nn.Module):
    """A 3x3 and a 1x1 convolution side by side, each with BatchNorm, and SiLU of their sum.

    Args:
        channels: Channels of the input and of the output.

    Reference:
        `RepVGG: Making VGG-style ConvNets Great Again <https://arxiv.org/abs/2101.03697>`_

    Example:
        >>> RepVGGBlock(8)(torch.rand(1, 8, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3, activate=False)
        self.conv2 = ConvNorm(channels, channels, 1, activate=False)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the map `x`, (N, channels, H, W)."""
        return self.activation(self.conv1(x) + self.conv2(x))


class CSPRepLayer(nn.Module):
    """Two branches of a 1x1 convolution, one of them with RepVGG blocks behind it, and their sum.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        num_blocks: How many RepVGG blocks.
        expansion: Channels of the branches as a share of `out_channels`.

    Reference:
        `DETRs Beat YOLOs on Real-time Object Detection <https://arxiv.org/abs/2304.08069>`_

    Example:
        >>> CSPRepLayer(16, 8, num_blocks=3, expansion=0.5)(torch.rand(1, 16, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, num_blocks: int, expansion: float = 1.0) -> None:
        super().__init__()
        channels = int(out_channels * expansion)
        self.conv1 = ConvNorm(in_channels, channels)
        self.conv2 = ConvNorm(in_channels, channels)
        self.bottlenecks = nn.Sequential(*(RepVGGBlock(channels) for _ in range(num_blocks)))
        self.conv3 = ConvNorm(channels, out_channels) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the map `x`, (N, in_channels, H, W)."""
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


class RepNCSPELAN4(nn.Module):
    """D-FINE's block: a map split in two, CSP layers one after another on one half, and all of them merged.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        num_blocks: How many RepVGG blocks each of the two CSP layers has.
        expansion: Channels of the CSP layers as a share of half of `out_channels`.

    Reference:
        `D-FINE <https://arxiv.org/abs/2410.13842>`_; the block is that of
        `YOLOv9 <https://arxiv.org/abs/2402.13616>`_.

    Example:
        >>> RepNCSPELAN4(16, 8, num_blocks=1)(torch.rand(1, 16, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, num_blocks: int, expansion: float = 1.0) -> None:
        super().__init__()
        channels = round(expansion * out_channels // 2)
        self.conv1 = ConvNorm(in_channels, 2 * out_channels)
        self.csp_rep1 = CSPRepLayer(out_channels, channels, num_blocks)
        self.conv2 = ConvNorm(channels, channels, 3)
        self.csp_rep2 = CSPRepLayer(channels, channels, num_blocks)
        self.conv3 = ConvNorm(channels, channels, 3)
        self.conv4 = ConvNorm(2 * (out_channels + channels), out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the map `x`, (N, in_channels, H, W)."""
        first, second = self.conv1(x).chunk(2, 1)
        third = self.conv2(self.csp_rep1(second))
        fourth = self.conv3(self.csp_rep2(third))
        return self.conv4(torch.cat([first, second, third, fourth], 1))


class SCDown(nn.Module):
    """D-FINE's downsampling: a 1x1 convolution, and a depthwise 3x3 convolution of stride 2.

    Args:
        channels: Channels of the input and of the output.

    Reference:
        `YOLOv10: Real-Time End-to-End Object Detection <https://arxiv.org/abs/2405.14458>`_

    Example:
        >>> SCDown(8)(torch.rand(1, 8, 6, 4)).shape
        torch.Size([1, 8, 3, 2])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, activate=False)
        self.conv2 = ConvNorm(channels, channels, 3, stride=2, groups=channels, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the map `x`, (N, channels, H, W)."""
        return self.conv2(self.conv1(x))
