"""Builds the norm layer that a config asks for."""

from collections.abc import Callable

from mmcv.cnn import build_norm_layer
from mmengine.registry import MODELS
from torch import nn

from convnext_dense.errors import describe
from convnext_dense.layers.layer_norm import LayerNorm2d

LAYER_NORM_TYPES = ('LN2d', 'LN')


def build_norm(norm_cfg: dict, num_channels: int) -> nn.Module:
    """Build a norm layer for feature maps (N, C, H, W).

    Args:
        norm_cfg: ``type`` is 'LN2d' or 'LN' for `LayerNorm2d`, or one of mmcv's types, such as 'BN' or 'GN'; the other
            keys are the layer's arguments. ``requires_grad=False`` freezes its parameters.
        num_channels: C.

    Raises:
        ValueError: If `norm_cfg` has no type, a type that mmcv does not know, or arguments that it does not take.

    Example:
        >>> build_norm(dict(type='LN2d', eps=1e-6), 96).normalized_shape
        (96,)
    """
    if not isinstance(norm_cfg, dict) or not isinstance(norm_cfg.get('type'), str):
        raise ValueError(f"norm_cfg must be a dict with a 'type', such as dict(type='LN2d'); got {norm_cfg!r}.")
    if norm_cfg['type'] not in LAYER_NORM_TYPES:
        if MODELS.get(norm_cfg['type']) is None:
            raise ValueError(f"norm_cfg: there is no norm layer {norm_cfg['type']!r}; use 'LN2d', or one of mmcv's.")
        return _build(norm_cfg, lambda: build_norm_layer(norm_cfg, num_channels)[1])
    arguments = {key: value for key, value in norm_cfg.items() if key not in ('type', 'requires_grad')}
    norm = _build(norm_cfg, lambda: LayerNorm2d(num_channels, **arguments))
    return norm.requires_grad_(norm_cfg.get('requires_grad', True))


def _build(norm_cfg: dict, build: Callable[[], nn.Module]) -> nn.Module:
    try:
        return build()
    except (TypeError, KeyError, AssertionError) as error:
        raise ValueError(f'norm_cfg: {norm_cfg} cannot be built ({describe(error)}).') from error
