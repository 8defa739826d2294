"""Builds the activation that a config asks for."""

from mmengine.registry import MODELS
from torch import nn

from convnext_dense.errors import describe


def build_activation(act_cfg: dict) -> nn.Module:
    """Build an activation.

    Args:
        act_cfg: ``type`` is one of mmengine's names, such as 'GELU', or a class; the other keys are its arguments.

    Raises:
        ValueError: If `act_cfg` has no such type, or arguments that it does not take.

    Example:
        >>> build_activation(dict(type='GELU', approximate='tanh'))
        GELU(approximate='tanh')
    """
    if not isinstance(act_cfg, dict) or not isinstance(act_cfg.get('type'), str | type):
        raise ValueError(f"act_cfg must be a dict with a 'type', such as dict(type='GELU'); got {act_cfg!r}.")
    if isinstance(act_cfg['type'], str) and MODELS.get(act_cfg['type']) is None:
        raise ValueError(f"act_cfg: there is no activation {act_cfg['type']!r}; use 'GELU', or one of mmengine's.")
    try:
        return MODELS.build(act_cfg)
    except TypeError as error:
        raise ValueError(f'act_cfg: {act_cfg} cannot be built ({describe(error)}).') from error
