"""Tells where the weights of a backbone come from."""

from collections.abc import Mapping

from convnext_dense.backbones.base import Backbone


def initial_weights(backbone: object) -> str | None:
    """Return the file or the name of the weights that a backbone was initialized with; None if they are random.

    Args:
        backbone: Ours, or one of another library, which may have made its `init_cfg` of another argument.

    Example:
        >>> from torch import nn
        >>> backbone = nn.Identity()
        >>> backbone.init_cfg = [dict(type='Kaiming'), dict(type='Pretrained', checkpoint='torchvision://resnet50')]
        >>> initial_weights(backbone)
        'torchvision://resnet50'
    """
    if isinstance(backbone, Backbone) and backbone.weights_from:
        return None if backbone.weights_from.startswith('random') else backbone.weights_from
    parts = getattr(backbone, 'init_cfg', None)
    parts = parts if isinstance(parts, list | tuple) else [parts]
    return next(
        (str(part['checkpoint']) for part in parts if isinstance(part, Mapping) and part.get('checkpoint')), None
    )
