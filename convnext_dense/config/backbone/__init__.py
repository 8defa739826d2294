"""`--backbone`: one string that names a backbone, put into a config."""

from convnext_dense.config.backbone.swap import set_backbone

__all__ = ['set_backbone']
