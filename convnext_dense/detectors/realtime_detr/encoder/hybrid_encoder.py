"""The hybrid encoder of real-time DETRs, a neck."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import EncoderLayer, sine_positions
from convnext_dense.detectors.realtime_detr.encoder.blocks import ConvNorm, CSPRepLayer, RepNCSPELAN4, SCDown
from convnext_dense.errors import UsageError
from convnext_dense.registry import MODELS


@MODELS.register_module()
class HybridEncoder(BaseModule):
    """Attention within the coarsest map, then convolutions that fuse the maps from coarse to fine and back.

    Args:
        in_channels: Channels of the backbone's maps, from fine to coarse, each of twice the stride of the one before.
        out_channels: Channels of every map that it makes.
        num_layers: Transformer layers on the coarsest map.
        num_heads: Heads of their attention.
        feedforward_channels: Width of the inner layer of their perceptrons.
        blocks: What fuses two maps: 'csp' as in RT-DETR, or 'elan' as in D-FINE.
        num_blocks: RepVGG blocks in each CSP layer.
        expansion: Channels inside of the fusing blocks, as a share of those that the block has by default.
        init_cfg: mmengine's.

    Shape:
        Maps (N, in_channels[i], H, W) to as many maps (N, out_channels, H, W) of the same sizes.

    Raises:
        UsageError: If `blocks` has no such value, or `out_channels` cannot be split into heads and sines, or the maps'
            channels are not `in_channels`.

    Reference:
        `DETRs Beat YOLOs on Real-time Object Detection <https://arxiv.org/abs/2304.08069>`_ and
        `D-FINE <https://arxiv.org/abs/2410.13842>`_

    Example:
        >>> encoder = HybridEncoder([8, 16, 32], out_channels=16, num_heads=4, feedforward_channels=32)
        >>> maps = [torch.rand(2, 8, 12, 20), torch.rand(2, 16, 6, 10), torch.rand(2, 32, 3, 5)]
        >>> [tuple(fmap.shape) for fmap in encoder(maps)]
        [(2, 16, 12, 20), (2, 16, 6, 10), (2, 16, 3, 5)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        num_layers: int = 1,
        num_heads: int = 8,
        feedforward_channels: int = 1024,
        blocks: str = 'csp',
        num_blocks: int = 3,
        expansion: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if blocks not in ('csp', 'elan'):
            raise UsageError(f"HybridEncoder: blocks is {blocks!r}; it can be 'csp' or 'elan'.")
        if out_channels % num_heads or out_channels % 4:
            raise UsageError(
                f'HybridEncoder: out_channels is {out_channels}; it must be a multiple of 4 and of the '
                f'{num_heads} heads.'
            )
        self.in_channels, self.out_channels = list(in_channels), out_channels
        self.input_projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
            for channels in in_channels
        )
        self.layers = nn.ModuleList(
            EncoderLayer(out_channels, num_heads, feedforward_channels) for _ in range(num_layers)
        )
        block = CSPRepLayer if blocks == 'csp' else RepNCSPELAN4
        steps = range(len(in_channels) - 1)
        self.lateral_convs = nn.ModuleList(
            ConvNorm(out_channels, out_channels, activate=blocks == 'csp') for _ in steps
        )
        self.fpn_blocks = nn.ModuleList(block(2 * out_channels, out_channels, num_blocks, expansion) for _ in steps)
        self.downsample_convs = nn.ModuleList(
            ConvNorm(out_channels, out_channels, 3, stride=2) if blocks == 'csp' else SCDown(out_channels)
            for _ in steps
        )
        self.pan_blocks = nn.ModuleList(block(2 * out_channels, out_channels, num_blocks, expansion) for _ in steps)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the fused maps, from fine to coarse."""
        channels = [fmap.shape[1] for fmap in maps]
        if channels != self.in_channels:
            raise UsageError(
                f'HybridEncoder: in_channels are {self.in_channels}, and those of the maps are {channels}.'
            )
        projected = [project(fmap) for project, fmap in zip(self.input_projections, maps, strict=True)]
        top_down = [self._attend(projected.pop())]
        for lateral, block in zip(self.lateral_convs, self.fpn_blocks, strict=True):
            top_down[0] = lateral(top_down[0])
            finer = projected.pop()
            top_down.insert(0, block(torch.cat([_fit(top_down[0], finer), finer], 1)))
        fused = [top_down[0]]
        for downsample, block, coarser in zip(self.downsample_convs, self.pan_blocks, top_down[1:], strict=True):
            fused.append(block(torch.cat([_fit(downsample(fused[-1]), coarser), coarser], 1)))
        return tuple(fused)

    def _attend(self, fmap: Tensor) -> Tensor:
        height, width = fmap.shape[-2:]
        tokens = fmap.flatten(2).transpose(1, 2)
        positions = sine_positions(height, width, self.out_channels, fmap.device).to(tokens.dtype)
        for layer in self.layers:
            tokens = layer(tokens, positions)
        return tokens.transpose(1, 2).unflatten(2, (height, width))


def _fit(fmap: Tensor, like: Tensor) -> Tensor:
    # Backbones round the sizes of images that no stride divides, each in its own way.
    return fmap if fmap.shape[-2:] == like.shape[-2:] else F.interpolate(fmap, like.shape[-2:], mode='nearest')
