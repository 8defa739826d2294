"""Networks that turn an image into feature maps. They are registered in ``convnext_dense.registry.MODELS``."""

from importlib import import_module

from convnext_dense.backbones.convnext import ConvNeXt
from convnext_dense.backbones.modernized_resnet import ModernizedResNet

__all__ = ['ConvNeXt', 'ModernizedResNet', 'TimmBackbone']


def __getattr__(name: str) -> object:
    # timm is slow to import, and ConvNeXt does not need it.
    if name == 'TimmBackbone':
        return import_module('convnext_dense.backbones.timm_backbone').TimmBackbone
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
