"""Makes a backbone with its published weights, for a model of one's own."""

from typing import NamedTuple

from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from convnext_dense.config.backbone.names import parse_backbone
from convnext_dense.config.backbone.swap import probe
from convnext_dense.errors import UsageError


class CreatedBackbone(NamedTuple):
    """A backbone, and what a model around it must know.

    Args:
        backbone: The backbone. It takes images (N, 3, H, W) and returns a tuple of maps, the largest first.
        out_channels: The channels of each map, such as a neck's `in_channels`.
        data_preprocessor: ``dict(mean=..., std=..., bgr_to_rgb=True)``, as in a config's `data_preprocessor`. The mean
            and the standard deviation are those of red, green and blue, from 0 to 255. ``bgr_to_rgb`` says that the
            images come as mmcv and OpenCV read them, in the order blue, green, red.
    """

    backbone: nn.Module
    out_channels: list[int]
    data_preprocessor: dict


def create_backbone(name: str, pretrained: bool = True) -> CreatedBackbone:
    """Make a backbone by its name, with its published weights and the preprocessing that they were trained with.

    Args:
        name: As ``--backbone`` takes it, arguments included: ``convnext_tiny_in1k``, ``convnextv2_base``,
            ``timm/resnet50``, ``mmdet/ResNet(depth=18)``.
        pretrained: Whether to load the published weights. Otherwise they are random.

    Raises:
        UsageError: If the name names no backbone, or an argument is wrong.
        CheckpointError: If the weights cannot be fetched or do not fit.

    Example:
        >>> import torch
        >>> from convnext_dense import create_backbone
        >>> backbone, out_channels, data_preprocessor = create_backbone('convnext_atto', pretrained=False)
        >>> rgb = torch.rand(1, 3, 64, 64) * 255
        >>> mean, std = (torch.tensor(data_preprocessor[key])[:, None, None] for key in ('mean', 'std'))
        >>> [tuple(x.shape) for x in backbone((rgb - mean) / std)]
        [(1, 40, 16, 16), (1, 80, 8, 8), (1, 160, 4, 4), (1, 320, 2, 2)]
        >>> out_channels
        [40, 80, 160, 320]
    """
    named = parse_backbone(name, pretrained=pretrained)
    with DefaultScope.overwrite_default_scope('mmengine'):
        try:
            maps = probe(ConfigDict(named.config)).maps
        except ValueError as error:
            raise UsageError(f'backbone {name}: {error}') from error
        backbone = MODELS.build(named.config)
        backbone.init_weights()
    data_preprocessor = dict(mean=list(named.mean), std=list(named.std), bgr_to_rgb=True)
    return CreatedBackbone(backbone, [fmap.channels for fmap in maps], data_preprocessor)
