"""ConvNeXt and ConvNeXt V2 as a backbone with a feature map from each stage."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from convnext_dense.backbones.argument_kinds import check_kinds
from convnext_dense.backbones.base import (
    ResidualBlock,
    StagedBackbone,
    check_backbone_arguments,
    drop_path_rates,
    resolve_out_indices,
    use_our_pretrained_init,
)
from convnext_dense.layers import (
    GRN,
    PointwiseLinear,
    build_activation,
    build_norm,
    can_fuse,
    check_kernels,
    fused_block,
)
from convnext_dense.registry import MODELS, STATE_DICT_CONVERTERS


class Arch(NamedTuple):
    """A network's size: the number of blocks and the number of channels in each stage."""

    depths: tuple[int, ...]
    channels: tuple[int, ...]


def _doubling(depths: tuple[int, ...], width: int) -> Arch:
    return Arch(depths, tuple(width * 2**stage for stage in range(len(depths))))


class ConvNeXtBlock(ResidualBlock):
    """A depthwise 7x7 convolution, a norm, and a pointwise MLP four times as wide, as a residual branch.

    Args:
        channels: C.
        norm_cfg: The norm's config.
        act_cfg: The activation's config.
        use_grn: Whether a GRN follows the activation (V2).
        drop_path_rate: Probability that a sample skips the branch in training.
        layer_scale_init_value: Initial LayerScale. 0 or less means none.
        with_cp: Whether training recomputes the block in the backward pass to save memory.
        kernels: What computes the block, as in `ConvNeXt`.
        recompute_hidden: As in `ConvNeXt`.

    Shape:
        (N, C, H, W) to (N, C, H, W).

    Reference:
        https://arxiv.org/abs/2201.03545 and https://arxiv.org/abs/2301.00808
    """

    def __init__(
        self,
        channels: int,
        norm_cfg: dict,
        act_cfg: dict,
        use_grn: bool,
        drop_path_rate: float,
        layer_scale_init_value: float,
        with_cp: bool,
        kernels: str,
        recompute_hidden: bool,
    ) -> None:
        super().__init__(channels, drop_path_rate, layer_scale_init_value, with_cp)
        self.dwconv = nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels)
        self.norm = build_norm(norm_cfg, channels)
        self.pwconv1 = PointwiseLinear(channels, 4 * channels)
        self.act = build_activation(act_cfg)
        self.grn = GRN(4 * channels) if use_grn else nn.Identity()
        self.pwconv2 = PointwiseLinear(4 * channels, channels)
        self.kernels = kernels
        self.recompute_hidden = recompute_hidden

    def _forward(self, x: Tensor) -> Tensor:
        if can_fuse(self, x):
            return fused_block(self, x)
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        y = self.pwconv2(self.grn(self.act(self.pwconv1(y))))
        return self.residual(x, y.permute(0, 3, 1, 2))


@MODELS.register_module()
class ConvNeXt(StagedBackbone):
    """ConvNeXt V1 and V2, with a LayerNorm ``norm{i}`` on the output of each stage i in `out_indices`.

    It replaces ``mmpretrain.ConvNeXt`` in any config, and its parameters have the official repository's names. V2 is
    ``use_grn=True, layer_scale_init_value=0.``. Tensors are channels-last in memory, the returned maps too.

    Args:
        arch: A key of `arch_settings`, or ``dict(depths=[...], channels=[...])`` of equal length.
        in_channels: Channels of the image.
        stem_patch_size: Kernel size and stride, in pixels, of the first convolution.
        norm_cfg: Every norm's config: 'LN2d', or one of mmcv's types.
        act_cfg: The activation's config.
        linear_pw_conv: Accepted for mmpretrain's configs. Here, pointwise convolutions are always linear layers, with
            the same results.
        use_grn: Whether the blocks have GRN (V2).
        drop_path_rate: Stochastic depth of the last block. It rises linearly from 0 at the first.
        layer_scale_init_value: Initial LayerScale. 0 or less means none.
        out_indices: Stage or stages to return, from 0. Negative ones count from the last. Later stages are not built.
        frozen_stages: The number of frozen stages: no gradients, and always in eval mode. The first includes the stem.
        gap_before_final_norm: Must be False: pooling to a vector is for classifiers.
        with_cp: Whether training recomputes each block in the backward pass to save memory.
        kernels: What computes the blocks. 'torch' is PyTorch. 'triton' is the fused kernels wherever they can run: on a
            GPU since Ampere, with Triton, in float32 and half precision, with LayerNorm and GELU. The kernels support
            first derivatives by the backward pass only, neither gradients of gradients nor forward mode.
        recompute_hidden: Whether the kernels recompute each block's hidden layer in the backward pass instead of
            keeping it: half the memory under mixed precision, for a sixth more matrix products. It needs
            ``kernels='triton'``. Blocks on which the kernels cannot run keep it.
        init_cfg: mmengine's initialization. ``dict(type='Pretrained', checkpoint=...)`` loads published weights, by
            `convnext_dense.weights.Pretrained`. Defaults to the official initialization: weights from a normal
            distribution with a standard deviation of 0.02, truncated at two deviations, and zero biases.

    Shape:
        - Input: (N, in_channels, H, W), H and W at least the stride of the last stage.
        - Output: a tuple of (N, channels[i], H / s, W / s), rounded down, one per entry of `out_indices`, in rising
          order; s is 4, 8, 16, 32 for a patch of 4.

    Raises:
        ValueError: If an argument has a value that is not allowed, or an image is too small.

    Reference:
        `A ConvNet for the 2020s <https://arxiv.org/abs/2201.03545>`_ and `ConvNeXt V2: Co-designing and Scaling
        ConvNets with Masked Autoencoders <https://arxiv.org/abs/2301.00808>`_

    Example:
        >>> import torch
        >>> from convnext_dense.backbones import ConvNeXt
        >>> maps = ConvNeXt('tiny')(torch.rand(1, 3, 64, 96))
        >>> [tuple(x.shape) for x in maps]
        [(1, 96, 16, 24), (1, 192, 8, 12), (1, 384, 4, 6), (1, 768, 2, 3)]
    """

    arch_settings = {
        'atto': _doubling((2, 2, 6, 2), 40),
        'femto': _doubling((2, 2, 6, 2), 48),
        'pico': _doubling((2, 2, 6, 2), 64),
        'nano': _doubling((2, 2, 8, 2), 80),
        'tiny': _doubling((3, 3, 9, 3), 96),
        'small': _doubling((3, 3, 27, 3), 96),
        'base': _doubling((3, 3, 27, 3), 128),
        'large': _doubling((3, 3, 27, 3), 192),
        'xlarge': _doubling((3, 3, 27, 3), 256),
        'huge': _doubling((3, 3, 27, 3), 352),
        'xxlarge': _doubling((3, 4, 30, 3), 384),
    }

    def __init__(
        self,
        arch: str | dict = 'tiny',
        in_channels: int = 3,
        stem_patch_size: int = 4,
        norm_cfg: dict = dict(type='LN2d', eps=1e-6),  # noqa: B006 - never changed
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 - never changed
        linear_pw_conv: bool = True,
        use_grn: bool = False,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 0,
        gap_before_final_norm: bool = False,
        with_cp: bool = False,
        kernels: str = 'torch',
        recompute_hidden: bool = False,
        init_cfg: dict | list[dict] | None = dict(  # noqa: B006 - never changed
            type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0
        ),
    ) -> None:
        check_kinds(ConvNeXt.__init__, locals())
        super().__init__(use_our_pretrained_init(init_cfg))
        if gap_before_final_norm:
            raise ValueError(
                'gap_before_final_norm must be False: True pools each map to a vector, which only a classifier can use.'
            )
        check_kernels(kernels, recompute_hidden)
        self.depths, self.channels = _resolve_arch(arch, self.arch_settings)
        check_backbone_arguments(
            len(self.depths),
            frozen_stages,
            drop_path_rate,
            layer_scale_init_value,
            in_channels=in_channels,
            stem_patch_size=stem_patch_size,
        )
        self.out_indices = resolve_out_indices(out_indices, len(self.depths))
        self.frozen_stages = frozen_stages
        self.stride = stem_patch_size * 2 ** self.out_indices[-1]

        block = partial(
            ConvNeXtBlock,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            use_grn=use_grn,
            layer_scale_init_value=layer_scale_init_value,
            with_cp=with_cp,
            kernels=kernels,
            recompute_hidden=recompute_hidden,
        )
        rates = list(drop_path_rates(drop_path_rate, self.depths))
        self.downsample_layers = nn.ModuleList()
        self.stages = nn.ModuleList()
        for i, width in enumerate(self.channels[: self.out_indices[-1] + 1]):
            if i == 0:
                stem = nn.Conv2d(in_channels, width, stem_patch_size, stem_patch_size)
                downsample = [stem, build_norm(norm_cfg, width)]
            else:
                before = self.channels[i - 1]
                downsample = [build_norm(norm_cfg, before), nn.Conv2d(before, width, 2, 2)]
            self.downsample_layers.append(nn.Sequential(*downsample))
            self.stages.append(nn.Sequential(*(block(width, drop_path_rate=rate) for rate in rates[i])))
        for i in self.out_indices:
            self.add_module(f'norm{i}', build_norm(norm_cfg, self.channels[i]))
        self._freeze_stages()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        # Rename the weights of other libraries.
        STATE_DICT_CONVERTERS.get('ConvNeXt')(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _resolve_arch(arch: str | dict, settings: dict[str, Arch]) -> Arch:
    if isinstance(arch, str):
        if arch not in settings:
            raise ValueError(
                f'arch must be one of {", ".join(settings)}, or a dict of depths and channels; got {arch!r}.'
            )
        return settings[arch]
    if not isinstance(arch, dict) or not all(isinstance(arch.get(key), Sequence) for key in Arch._fields):
        raise ValueError(f'arch must be a name or dict(depths=[...], channels=[...]); got {arch!r}.')
    depths, channels = tuple(arch['depths']), tuple(arch['channels'])
    if len(depths) != len(channels) or not depths:
        raise ValueError(
            'arch: depths and channels must have the same length, one entry per stage; '
            f'got depths={list(depths)}, channels={list(channels)}.'
        )
    if not all(isinstance(size, int) and size > 0 for size in depths + channels):
        raise ValueError(
            'arch: depths and channels must be positive integers; '
            f'got depths={list(depths)}, channels={list(channels)}.'
        )
    return Arch(depths, channels)
