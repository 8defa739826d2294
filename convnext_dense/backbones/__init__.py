"""The backbones, registered in ``convnext_dense.registry.MODELS``."""

from convnext_dense.backbones.convnext import ConvNeXt
from convnext_dense.backbones.roadmap import ModernizedResNet
from convnext_dense.backbones.timm import TimmBackbone

__all__ = ['ConvNeXt', 'ModernizedResNet', 'TimmBackbone']
