"""Makes the backbone that a string names: alone, or in a config."""

from convnext_dense.config.backbone.create import create_backbone
from convnext_dense.config.backbone.swap import set_backbone

__all__ = ['create_backbone', 'set_backbone']
