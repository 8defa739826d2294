"""The backbones, registered in ``convnext_dense.registry.MODELS``."""

from convnext_dense.backbones.convnext import ConvNeXt
from convnext_dense.backbones.modernized_resnet import ModernizedResNet
from convnext_dense.backbones.timm_backbone import TimmBackbone

__all__ = ['ConvNeXt', 'ModernizedResNet', 'TimmBackbone']
