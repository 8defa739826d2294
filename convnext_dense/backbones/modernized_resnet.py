"""The way from ResNet-50 to ConvNeXt-T, each step a switch."""

from collections.abc import Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from convnext_dense.backbones.base import StagedBackbone, resolve_out_indices
from convnext_dense.layers import DropPath, build_norm
from convnext_dense.registry import MODELS

EXPANSION = 4


class BlockDesign(NamedTuple):
    """The switches of `ModernizedResNet` that are about its blocks."""

    depthwise: bool
    inverted_bottleneck: bool
    depthwise_first: bool
    kernel_size: int
    act_cfg: dict
    norm_cfg: dict
    fewer_activations: bool
    fewer_norms: bool


class RoadmapBlock(nn.Module):
    """A block of two pointwise convolutions and a spatial one, and the residual: ResNet's, ConvNeXt's, or between.

    A convolution has a bias unless a BatchNorm follows, which would take it out again.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the spatial convolution. Where it is not 1, or the channels differ, the shortcut is a
            pointwise convolution of that stride, and a norm.
        design: What the block is like.
        drop_path_rate: Probability that a sample skips the block in training.
        layer_scale_init_value: Initial LayerScale; 0 or less for none.
        with_cp: Whether training recomputes the block in the backward pass to save memory; BatchNorm then counts each
            batch twice in its running statistics.

    Shape:
        (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        design: BlockDesign,
        drop_path_rate: float,
        layer_scale_init_value: float,
        with_cp: bool,
    ) -> None:
        super().__init__()
        hidden = out_channels * EXPANSION if design.inverted_bottleneck else out_channels // EXPANSION
        widths = [in_channels, hidden, hidden, out_channels]
        spatial = 1
        if design.depthwise_first:
            widths[1] = in_channels
            spatial = 0
        for i, (before, after) in enumerate(pairwise(widths)):
            norm = build_norm(design.norm_cfg, after) if i == 0 or not design.fewer_norms else nn.Identity()
            # Of fewer activations, the one between the two pointwise convolutions stays.
            act = ROOT_MODELS.build(design.act_cfg) if i == 1 or not design.fewer_activations else nn.Identity()
            kernel_size = design.kernel_size if i == spatial else 1
            conv = nn.Conv2d(
                before,
                after,
                kernel_size,
                stride=stride if i == spatial else 1,
                padding=kernel_size // 2,
                groups=after if i == spatial and design.depthwise else 1,
                bias=_needs_bias(norm),
            )
            self.add_module(f'conv{i + 1}', conv)
            self.add_module(f'norm{i + 1}', norm)
            self.add_module(f'act{i + 1}', act)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            norm = build_norm(design.norm_cfg, out_channels)
            self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=_needs_bias(norm)), norm)
        self.gamma = (
            nn.Parameter(torch.full((out_channels,), float(layer_scale_init_value)))
            if layer_scale_init_value > 0
            else None
        )
        self.drop_path = DropPath(drop_path_rate)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to `x`, (N, in_channels, H, W)."""
        if self.with_cp and self.training and torch.is_grad_enabled():
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.norm1(self.conv1(x)))
        y = self.act2(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        if self.gamma is not None:
            y = y * self.gamma[:, None, None]
        return self.act3(self.shortcut(x) + self.drop_path(y))


@MODELS.register_module()
class ModernizedResNet(StagedBackbone):
    """The networks of ConvNeXt's roadmap: ResNet-50 by default, ConvNeXt-T with every switch turned.

    | step | switch | GFLOPs | ImageNet top-1 |
    | --- | --- | --- | --- |
    | ResNet-50, trained by ConvNeXt's recipe | | 4.09 | 78.8 |
    | stage ratio | ``depths=(3, 3, 9, 3)`` | 4.53 | 79.4 |
    | patchify stem | ``patchify_stem=True`` | 4.42 | 79.5 |
    | depthwise convolution | ``depthwise=True`` | 2.35 | 78.3 |
    | width | ``width=96`` | 5.27 | 80.5 |
    | inverted bottleneck | ``inverted_bottleneck=True`` | 4.64 | 80.6 |
    | depthwise convolution moved up | ``depthwise_first=True`` | 4.07 | 79.9 |
    | kernel size 7 | ``kernel_size=7`` | 4.15 | 80.6 |
    | GELU for ReLU | ``act_cfg=dict(type='GELU')`` | 4.15 | 80.6 |
    | fewer activations | ``fewer_activations=True`` | 4.15 | 81.3 |
    | fewer norms | ``fewer_norms=True`` | 4.15 | 81.4 |
    | LN for BN | ``norm_cfg=dict(type='LN2d', eps=1e-6)`` | 4.46 | 81.5 |
    | separate downsampling layers | ``separate_downsampling=True`` | 4.49 | 82.0 |

    The figures are the paper's, of its table 10, at 224 x 224. Each step here counts the same to 0.01 G, the last one
    to 0.04 G, but for that of LN: other norms add no convolution, and it has 4.15 G, as the step before. (In the
    paper's table 11, of ResNet-200, this step adds nothing either.)

    Args:
        depths: The number of blocks in each stage.
        width: Channels of the stem. Stage i has ``width * 2**i``, and four times as many before `inverted_bottleneck`.
        in_channels: Channels of the image.
        patchify_stem: Whether the stem is a 4x4 convolution of stride 4 alone, instead of a 7x7 one of stride 2, norm,
            activation and max pooling.
        depthwise: Whether the blocks' spatial convolution is depthwise.
        inverted_bottleneck: Whether a block's hidden channels are four times its output's, instead of a fourth.
        depthwise_first: Whether the depthwise convolution is before the two pointwise ones, instead of between them.
        kernel_size: The spatial convolution's; odd.
        act_cfg: Every activation's config.
        norm_cfg: Every norm's config: 'LN2d', or a type of mmcv's.
        fewer_activations: Whether a block's only activation is the one between the pointwise convolutions, instead of
            one after each convolution, the last after the residual is added.
        fewer_norms: Whether a block's only norm is the one after the depthwise convolution, instead of one after each;
            the shortcut's stays.
        separate_downsampling: Whether stages are parted by a norm and a 2x2 convolution of stride 2, instead of the
            next one's first block having stride 2. With it come a norm after a patchify stem, and ``norm{i}`` on the
            output of each stage i.
        drop_path_rate: Stochastic depth of the last block; it rises linearly from 0 at the first.
        layer_scale_init_value: Initial LayerScale; 0 or less for none. The paper's recipe has it in every step.
        out_indices: Stage or stages to return, from 0; negative ones count from the last. Later stages are not built.
        frozen_stages: How many stages, the stem with the first, are frozen: no gradients, and always in eval mode.
        with_cp: Whether training recomputes each block in the backward pass to save memory.
        init_cfg: mmengine's initialisation. Defaults to ConvNeXt's in every step: weights from a normal distribution
            of deviation 0.02, cut at two deviations, and zero biases.

    Shape:
        - Input: (N, in_channels, H, W), H and W at least 32 for four stages.
        - Output: a tuple of (N, channels[i], H / s, W / s), one per entry of `out_indices`, in rising order; s is
          4, 8, 16, 32.

    Raises:
        ValueError: If an argument is none of what is allowed, or an image is too small.

    Reference:
        `A ConvNet for the 2020s <https://arxiv.org/abs/2201.03545>`_, section 2 and appendix C

    Example:
        >>> import torch
        >>> from convnext_dense.backbones import ModernizedResNet
        >>> resnet50 = ModernizedResNet()
        >>> resnet50.channels
        (256, 512, 1024, 2048)
        >>> halfway = ModernizedResNet(
        ...     depths=(3, 3, 9, 3), patchify_stem=True, depthwise=True, width=96, inverted_bottleneck=True)
        >>> [tuple(each.shape) for each in halfway(torch.rand(1, 3, 64, 96))]
        [(1, 96, 16, 24), (1, 192, 8, 12), (1, 384, 4, 6), (1, 768, 2, 3)]
    """

    def __init__(
        self,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        in_channels: int = 3,
        patchify_stem: bool = False,
        depthwise: bool = False,
        inverted_bottleneck: bool = False,
        depthwise_first: bool = False,
        kernel_size: int = 3,
        act_cfg: dict = dict(type='ReLU'),  # noqa: B006 - never changed
        norm_cfg: dict = dict(type='BN'),  # noqa: B006 - never changed
        fewer_activations: bool = False,
        fewer_norms: bool = False,
        separate_downsampling: bool = False,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 0.0,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = dict(  # noqa: B006 - never changed
            type='TruncNormal', layer='Conv2d', std=0.02, bias=0.0
        ),
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(depths, Sequence) or not depths or not all(_is_positive(each) for each in depths):
            raise ValueError(f'depths must be positive integers, one per stage; got {depths!r}.')
        for name, value in (('width', width), ('in_channels', in_channels)):
            if not _is_positive(value):
                raise ValueError(f'{name} must be a positive integer; got {value!r}.')
        if not _is_positive(kernel_size) or kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError(
                f'kernel_size must be an odd integer from 3, such as 3, 5, 7, 9 or 11; got {kernel_size!r}.'
            )
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be at least 0 and below 1; got {drop_path_rate}.')
        if frozen_stages not in range(-1, len(depths) + 1):
            raise ValueError(f'frozen_stages must be from 0 (none) to {len(depths)} (all stages); got {frozen_stages}.')
        design = BlockDesign(
            depthwise,
            inverted_bottleneck,
            depthwise_first,
            kernel_size,
            act_cfg,
            norm_cfg,
            fewer_activations,
            fewer_norms,
        )
        _check_switches(
            {**design._asdict(), 'patchify_stem': patchify_stem, 'separate_downsampling': separate_downsampling}
        )
        self.depths = tuple(depths)
        expansion = 1 if inverted_bottleneck else EXPANSION
        self.channels = tuple(width * 2**i * expansion for i in range(len(depths)))
        self.out_indices = resolve_out_indices(out_indices, len(depths))
        self.frozen_stages = frozen_stages
        self.stride = 4 * 2 ** self.out_indices[-1]

        steps = max(sum(self.depths) - 1, 1)
        drop_path_rates = iter([drop_path_rate * i / steps for i in range(sum(self.depths))])
        self.downsample_layers = nn.ModuleList()
        self.stages = nn.ModuleList()
        before = width
        for i in range(self.out_indices[-1] + 1):
            after = self.channels[i]
            stride = 1
            if i == 0 and not patchify_stem:
                downsample = _resnet_stem(in_channels, width, norm_cfg, act_cfg)
            elif i == 0:
                norm = build_norm(norm_cfg, width) if separate_downsampling else nn.Identity()
                downsample = nn.Sequential(nn.Conv2d(in_channels, width, 4, 4, bias=_needs_bias(norm)), norm)
            elif separate_downsampling:
                downsample = nn.Sequential(build_norm(norm_cfg, before), nn.Conv2d(before, after, 2, 2))
                before = after
            else:
                downsample = nn.Identity()
                stride = 2
            self.downsample_layers.append(downsample)
            blocks = []
            for rate in islice(drop_path_rates, self.depths[i]):
                blocks.append(RoadmapBlock(before, after, stride, design, rate, layer_scale_init_value, with_cp))
                before, stride = after, 1
            self.stages.append(nn.Sequential(*blocks))
        for i in self.out_indices:
            norm = build_norm(norm_cfg, self.channels[i]) if separate_downsampling else nn.Identity()
            self.add_module(f'norm{i}', norm)
        self._freeze_stages()


def _resnet_stem(in_channels: int, width: int, norm_cfg: dict, act_cfg: dict) -> nn.Sequential:
    norm = build_norm(norm_cfg, width)
    conv = nn.Conv2d(in_channels, width, 7, 2, 3, bias=_needs_bias(norm))
    return nn.Sequential(conv, norm, ROOT_MODELS.build(act_cfg), nn.MaxPool2d(3, 2, 1))


def _needs_bias(norm: nn.Module) -> bool:
    return not isinstance(norm, _BatchNorm)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_switches(switches: dict[str, object]) -> None:
    for name, value in switches.items():
        if name not in ('kernel_size', 'act_cfg', 'norm_cfg') and not isinstance(value, bool):
            raise ValueError(f'{name} must be True or False; got {value!r}.')
    for name, needed, reason in (
        ('depthwise_first', 'depthwise', 'it moves the depthwise convolution up'),
        ('fewer_activations', 'depthwise_first', 'the activation between the pointwise convolutions stays'),
        ('fewer_norms', 'depthwise_first', 'the norm before the pointwise convolutions stays'),
    ):
        if switches[name] and not switches[needed]:
            raise ValueError(f'{name}=True needs {needed}=True: {reason}.')
