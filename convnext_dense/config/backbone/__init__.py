"""Puts the backbone that a string names into a config."""

from convnext_dense.config.backbone.swap import set_backbone

__all__ = ['set_backbone']
