"""The backbones, registered in ``convnext_dense.registry.MODELS``."""

from convnext_dense.backbones.convnext import ConvNeXt
from convnext_dense.backbones.roadmap import ModernizedResNet

__all__ = ['ConvNeXt', 'ModernizedResNet']
