"""ResNet-50, ConvNeXt-T, and the networks between them: a switch for each step of ConvNeXt's roadmap."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convnext_dense.backbones.argument_kinds import check_kinds
from convnext_dense.backbones.base import (
    ResidualBlock,
    StagedBackbone,
    check_backbone_arguments,
    drop_path_rates,
    is_positive,
    resolve_out_indices,
    use_our_pretrained_init,
)
from convnext_dense.layers import build_activation, build_norm
from convnext_dense.registry import MODELS

EXPANSION = 4


class BlockDesign(NamedTuple):
    """The arguments of `ModernizedResNet` that its blocks depend on."""

    depthwise: bool
    inverted_bottleneck: bool
    depthwise_first: bool
    kernel_size: int
    act_cfg: dict
    norm_cfg: dict
    fewer_activations: bool
    fewer_norms: bool


class RoadmapBlock(ResidualBlock):
    """Two pointwise convolutions and a spatial one as a residual branch: ResNet's block, ConvNeXt's, or one between.

    A convolution has a bias unless a BatchNorm follows, which would remove it again.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the spatial convolution. If it is not 1, or the channels differ, the shortcut is a pointwise
            convolution of that stride, and a norm.
        design: The block's switches.
        drop_path_rate: Probability that a sample skips the branch in training.
        layer_scale_init_value: Initial LayerScale. 0 or less means none.
        with_cp: Whether training recomputes the block in the backward pass to save memory. BatchNorm then counts each
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
        super().__init__(out_channels, drop_path_rate, layer_scale_init_value, with_cp)
        hidden = out_channels * EXPANSION if design.inverted_bottleneck else out_channels // EXPANSION
        widths = [in_channels, hidden, hidden, out_channels]
        spatial = 1
        if design.depthwise_first:
            widths[1] = in_channels
            spatial = 0
        for i, (before, after) in enumerate(pairwise(widths)):
            norm = build_norm(design.norm_cfg, after) if i == 0 or not design.fewer_norms else nn.Identity()
            # With fewer activations, only the one between the two pointwise convolutions stays.
            act = build_activation(design.act_cfg) if i == 1 or not design.fewer_activations else nn.Identity()
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

    def _forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.norm1(self.conv1(x)))
        y = self.act2(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return self.act3(self.residual(self.shortcut(x), y))


@MODELS.register_module()
class ModernizedResNet(StagedBackbone):
    """The networks of ConvNeXt's roadmap: ResNet-50 by default, ConvNeXt-T with every switch on.

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

    The figures are from the paper's table 10, at 224 x 224. The networks here agree with them to 0.01 G, the last one
    to 0.04 G. The exception is LN for BN: other norms add no convolution, so this step has 4.15 G like the step before.
    (In the paper's table 11, of ResNet-200, this step adds nothing either.)

    Args:
        depths: The number of blocks in each stage.
        width: Channels of the stem. Stage i has ``width * 2**i`` channels with `inverted_bottleneck`, and four times
            as many without it.
        in_channels: Channels of the image.
        patchify_stem: Whether the stem is only a 4x4 convolution of stride 4, instead of a 7x7 convolution of stride
            2, norm, activation and max pooling.
        depthwise: Whether the blocks' spatial convolution is depthwise.
        inverted_bottleneck: Whether a block has four times as many hidden channels as output channels, instead of a
            quarter as many.
        depthwise_first: Whether the depthwise convolution precedes the two pointwise ones, instead of lying between
            them.
        kernel_size: Kernel size of the spatial convolution. Must be odd.
        act_cfg: Every activation's config.
        norm_cfg: Every norm's config: 'LN2d', or one of mmcv's types.
        fewer_activations: Whether a block's only activation is the one between the pointwise convolutions, instead of
            one after each convolution, the last after the residual is added.
        fewer_norms: Whether a block's only norm is the one after the depthwise convolution, instead of one after each
            convolution. The shortcut keeps its norm.
        separate_downsampling: Whether a norm and a 2x2 convolution of stride 2 separate the stages, instead of each
            stage's first block having stride 2. This adds a norm after a patchify stem, and ``norm{i}`` on the output
            of each stage i.
        drop_path_rate: Stochastic depth of the last block. It rises linearly from 0 at the first.
        layer_scale_init_value: Initial LayerScale. 0 or less means none. The paper's recipe has it in every step.
        out_indices: Stage or stages to return, from 0. Negative ones count from the last. Later stages are not built.
        frozen_stages: The number of frozen stages: no gradients, and always in eval mode. The first includes the stem.
        with_cp: Whether training recomputes each block in the backward pass to save memory.
        init_cfg: mmengine's initialization. Defaults to ConvNeXt's in every step: weights from a normal distribution
            with a standard deviation of 0.02, truncated at two deviations, and zero biases.

    Shape:
        - Input: (N, in_channels, H, W), H and W at least 32 for four stages.
        - Output: a tuple of (N, channels[i], H / s, W / s), one per entry of `out_indices`, in rising order; s is
          4, 8, 16, 32.

    Raises:
        ValueError: If an argument has a value that is not allowed, or an image is too small.

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
        >>> [tuple(x.shape) for x in halfway(torch.rand(1, 3, 64, 96))]
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
        check_kinds(ModernizedResNet.__init__, locals())
        super().__init__(use_our_pretrained_init(init_cfg))
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
        _check_switches(depths, design, patchify_stem=patchify_stem, separate_downsampling=separate_downsampling)
        check_backbone_arguments(
            len(depths), frozen_stages, drop_path_rate, layer_scale_init_value, width=width, in_channels=in_channels
        )
        self.depths = tuple(depths)
        expansion = 1 if inverted_bottleneck else EXPANSION
        self.channels = tuple(width * 2**i * expansion for i in range(len(depths)))
        self.out_indices = resolve_out_indices(out_indices, len(depths))
        self.frozen_stages = frozen_stages
        self.stride = 4 * 2 ** self.out_indices[-1]

        block = partial(RoadmapBlock, design=design, layer_scale_init_value=layer_scale_init_value, with_cp=with_cp)
        rates = list(drop_path_rates(drop_path_rate, self.depths))
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
            for rate in rates[i]:
                blocks.append(block(before, after, stride, drop_path_rate=rate))
                before, stride = after, 1
            self.stages.append(nn.Sequential(*blocks))
        for i in self.out_indices:
            norm = build_norm(norm_cfg, self.channels[i]) if separate_downsampling else nn.Identity()
            self.add_module(f'norm{i}', norm)
        self._freeze_stages()


def _resnet_stem(in_channels: int, width: int, norm_cfg: dict, act_cfg: dict) -> nn.Sequential:
    norm = build_norm(norm_cfg, width)
    conv = nn.Conv2d(in_channels, width, 7, 2, 3, bias=_needs_bias(norm))
    return nn.Sequential(conv, norm, build_activation(act_cfg), nn.MaxPool2d(3, 2, 1))


def _needs_bias(norm: nn.Module) -> bool:
    return not isinstance(norm, _BatchNorm)


def _check_switches(depths: Sequence[int], design: BlockDesign, **others: bool) -> None:
    if not isinstance(depths, Sequence) or not depths or not all(is_positive(depth) for depth in depths):
        raise ValueError(f'depths must be positive integers, one per stage; got {depths!r}.')
    if not is_positive(design.kernel_size) or design.kernel_size < 3 or design.kernel_size % 2 == 0:
        raise ValueError(
            f'kernel_size must be an odd integer from 3, such as 3, 5, 7, 9 or 11; got {design.kernel_size!r}.'
        )
    switches = {**design._asdict(), **others}
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
