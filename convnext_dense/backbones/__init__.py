"""The backbones, registered in ``convnext_dense.registry.MODELS``."""

from convnext_dense.backbones.convnext import ConvNeXt

__all__ = ['ConvNeXt']
