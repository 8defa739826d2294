"""What the backbones share: their stages in turn, which are returned, how deep a parameter lies, their weights."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from convnext_dense.registry import SCOPE


class StagedBackbone(BaseModule):
    """What ConvNeXt and the networks on the way to it have in common.

    A subclass has ``depths``, ``out_indices``, ``stride``, ``frozen_stages``, ``downsample_layers`` and ``stages``, and
    a module ``norm{i}`` for each entry of ``out_indices``.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of `x`, (N, in_channels, H, W)."""
        if min(x.shape[-2:]) < self.stride:
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
        """Set the mode of all but the frozen stages, which stay in eval mode."""
        super().train(mode)
        self._freeze_stages()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer id and the number of layers, by mmpretrain's protocol for learning-rate decay.

        It is `layer_depth` of the backbone's depths; the output norms are at the head's.

        Args:
            param_name: The parameter's full name.
            prefix: What the backbone's names begin with; a parameter without it belongs to the head.

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


def own_pretrained(init_cfg: dict | list[dict] | None) -> dict | list[dict] | None:
    """Have 'Pretrained' be this package's, which reads every public layout; its name must stay for mmengine's order."""
    if isinstance(init_cfg, list):
        return [own_pretrained(each) for each in init_cfg]
    if init_cfg and init_cfg.get('type') == 'Pretrained':
        return {**init_cfg, '_scope_': SCOPE}
    return init_cfg


def resolve_out_indices(out_indices: int | Sequence[int], num_stages: int) -> tuple[int, ...]:
    """Return the stages that `out_indices` names, each once, in rising order.

    Args:
        out_indices: Stage or stages, from 0; negative ones count from the last.
        num_stages: How many there are.

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

    Three blocks of the third stage make a layer; each other stage is one. The stem's step and the head's are counted,
    and all other parameters are at the head's.

    Args:
        depths: The number of blocks in each stage.
        param_name: The parameter's full name.
        prefix: What the backbone's names begin with; a parameter without it belongs to the head.

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
