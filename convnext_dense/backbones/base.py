"""What the backbones share: residual blocks, stages, the output maps, layer ids, and how weights are found."""

import math
from collections.abc import Iterator, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convnext_dense.layers import DropPath
from convnext_dense.registry import SCOPE


class ResidualBlock(nn.Module):
    """A block with LayerScale, stochastic depth, and activation checkpointing.

    A subclass computes its branch in ``_forward(x)``, and returns ``self.residual(shortcut, branch)``.

    Args:
        channels: Channels of the output.
        drop_path_rate: Probability that a sample skips the branch in training.
        layer_scale_init_value: Initial LayerScale. 0 or less means none.
        with_cp: Whether training recomputes the block in the backward pass to save memory.
    """

    def __init__(self, channels: int, drop_path_rate: float, layer_scale_init_value: float, with_cp: bool) -> None:
        super().__init__()
        self.gamma = (
            nn.Parameter(torch.full((channels,), float(layer_scale_init_value))) if layer_scale_init_value > 0 else None
        )
        self.drop_path = DropPath(drop_path_rate)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to `x`, (N, C, H, W)."""
        if self.with_cp and self.training and torch.is_grad_enabled():
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the branch `y` to the shortcut `x`, both (N, C, H, W)."""
        if self.gamma is not None:
            y = y * self.gamma[:, None, None]
        return x + self.drop_path(y)


class Backbone(BaseModule):
    """A backbone that says in its repr what its weights are."""

    # What the weights are, once they are initialized or loaded.
    weights_from: str | None = None

    def init_weights(self) -> None:
        """Initialize by `init_cfg`."""
        super().init_weights()
        self.weights_from = self.weights_from or 'random, initialized'

    def __repr__(self) -> str:
        weights = self.weights_from or 'random, because init_weights() was not called'
        return f'{super().__repr__()}\nweights: {weights}'

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self.weights_from = 'loaded from a state dict'


class StagedBackbone(Backbone):
    """The forward pass, frozen stages, and layer ids of ConvNeXt and of the networks on the way to it.

    A subclass sets these attributes, and adds a module ``norm{i}`` for each entry of ``out_indices``.
    """

    depths: tuple[int, ...]
    out_indices: tuple[int, ...]
    stride: int
    frozen_stages: int
    downsample_layers: nn.ModuleList
    stages: nn.ModuleList

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of `x`, (N, in_channels, H, W)."""
        # `min` of both would let PyTorch 2.6 compile wide and high images apart.
        if x.shape[-2] < self.stride or x.shape[-1] < self.stride:
            raise ValueError(
                f'the image must be at least {self.stride} pixels high and wide; got {x.shape[-2]} x {x.shape[-1]}.'
            )
        x = x.contiguous(memory_format=torch.channels_last)
        outs = []
        for i, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(downsample(x))
            if i in self.out_indices:
                outs.append(getattr(self, f'norm{i}')(x))
        return tuple(outs)

    def train(self, mode: bool = True) -> 'StagedBackbone':
        """Set the mode. Frozen stages stay in eval mode."""
        super().train(mode)
        self._freeze_stages()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer id and the number of layers, by mmpretrain's protocol for learning-rate decay.

        It is `layer_depth` with the backbone's depths. The output norms have the head's id.

        Args:
            param_name: The parameter's full name.
            prefix: What the backbone's names begin with. A parameter without it belongs to the head.

        Example:
            >>> from convnext_dense.backbones import ConvNeXt
            >>> ConvNeXt('tiny').get_layer_depth('backbone.stages.2.8.gamma', 'backbone.')
            (5, 8)
        """
        return layer_depth(self.depths, param_name, prefix)

    def _freeze_stages(self) -> None:
        for i in range(min(self.frozen_stages, len(self.stages))):
            for module in (self.downsample_layers[i], self.stages[i]):
                module.eval()
                module.requires_grad_(False)


def use_our_pretrained_init(init_cfg: dict | list[dict] | None) -> dict | list[dict] | None:
    """Route 'Pretrained' to our loader, which reads every public layout.

    The type keeps its name: mmengine runs 'Pretrained' after all other initializers.

    Args:
        init_cfg: mmengine's initialization.

    Example:
        >>> use_our_pretrained_init(dict(type='Pretrained', checkpoint='a.pth'))
        {'type': 'Pretrained', 'checkpoint': 'a.pth', '_scope_': 'convnext_dense'}
    """
    if isinstance(init_cfg, list):
        return [_with_our_scope(cfg) for cfg in init_cfg]
    return init_cfg and _with_our_scope(init_cfg)


def _with_our_scope(init_cfg: dict) -> dict:
    return {**init_cfg, '_scope_': SCOPE} if init_cfg.get('type') == 'Pretrained' else init_cfg


def drop_path_rates(last: float, depths: Sequence[int]) -> Iterator[list[float]]:
    """Yield the drop path rates of each stage's blocks, which rise linearly from 0 at the first block.

    Args:
        last: The rate of the last block.
        depths: The number of blocks in each stage.

    Example:
        >>> list(drop_path_rates(0.5, (2, 4)))
        [[0.0, 0.1], [0.2, 0.3, 0.4, 0.5]]
    """
    steps = max(sum(depths) - 1, 1)
    block = 0
    for depth in depths:
        yield [last * i / steps for i in range(block, block + depth)]
        block += depth


def check_backbone_arguments(
    num_stages: int, frozen_stages: int, drop_path_rate: float, layer_scale_init_value: float, **positive: int
) -> None:
    """Raise ValueError if an argument that the backbones share has a value that is not allowed.

    Args:
        num_stages: The number of stages.
        frozen_stages: The argument of that name.
        drop_path_rate: The argument of that name.
        layer_scale_init_value: The argument of that name.
        positive: Arguments that must be positive integers, by name.

    Example:
        >>> check_backbone_arguments(4, 1, drop_path_rate=0.1, layer_scale_init_value=1e-6, in_channels=3)
    """
    for name, value in positive.items():
        if not is_positive(value):
            raise ValueError(f'{name} must be a positive integer; got {value!r}.')
    if not 0 <= drop_path_rate < 1:
        raise ValueError(f'drop_path_rate must be at least 0 and below 1; got {drop_path_rate}.')
    if not math.isfinite(layer_scale_init_value):
        raise ValueError(f'layer_scale_init_value must be a finite number; got {layer_scale_init_value}.')
    if frozen_stages not in range(-1, num_stages + 1):
        raise ValueError(f'frozen_stages must be from 0 (none) to {num_stages} (all stages); got {frozen_stages}.')


def is_positive(value: object) -> bool:
    """Return whether a value is a positive integer.

    Example:
        >>> is_positive(3), is_positive(0), is_positive(True)
        (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def resolve_out_indices(out_indices: int | Sequence[int], num_stages: int) -> tuple[int, ...]:
    """Return the stages that `out_indices` names, without repetitions, in rising order.

    Args:
        out_indices: Stage or stages, from 0. Negative ones count from the last.
        num_stages: The number of stages.

    Raises:
        ValueError: If there is no such stage.

    Example:
        >>> resolve_out_indices((0, -1), num_stages=4)
        (0, 3)
    """
    given = list(out_indices) if isinstance(out_indices, Sequence) else [out_indices]
    if not given or not all(isinstance(i, int) and -num_stages <= i < num_stages for i in given):
        raise ValueError(
            f'out_indices must name stages from 0 to {num_stages - 1} (or -{num_stages} to -1, from the last); '
            f'got {out_indices!r}.'
        )
    return tuple(sorted({i % num_stages for i in given}))


def layer_depth(depths: Sequence[int], param_name: str, prefix: str = '') -> tuple[int, int]:
    """Return the layer id, and the number of layers, of a parameter of ``downsample_layers`` or ``stages``.

    Three blocks of the third stage are one layer, and so is each other stage. The number of layers includes the stem
    and the head. All other parameters have the head's id.

    Args:
        depths: The number of blocks in each stage.
        param_name: The parameter's full name.
        prefix: What the backbone's names begin with. A parameter without it belongs to the head.

    Example:
        >>> layer_depth((3, 3, 9, 3), 'backbone.stages.2.8.gamma', 'backbone.')
        (5, 8)
    """
    last = 12 if len(depths) > 2 and depths[2] > 9 else 6
    head = last + 1
    if not param_name.startswith(prefix):
        return head, last + 2
    kind, *indices = param_name[len(prefix) :].split('.')
    if kind not in ('downsample_layers', 'stages'):
        return head, last + 2
    stage = int(indices[0])
    if stage >= 3:
        return last, last + 2
    if kind == 'downsample_layers':
        return (0, 2, 3)[stage], last + 2
    if stage < 2:
        return stage + 1, last + 2
    return min(3 + int(indices[1]) // 3, last), last + 2
