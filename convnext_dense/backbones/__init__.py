"""Networks that turn an image into feature maps, registered in ``convnext_dense.registry.MODELS``."""

from typing import TYPE_CHECKING

from convnext_dense.backbones.convnext import ConvNeXt
from convnext_dense.backbones.modernized_resnet import ModernizedResNet
from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.backbones.resnet_vd import ResNetVD
    from convnext_dense.backbones.timm_backbone import TimmBackbone

__all__ = ['ConvNeXt', 'ModernizedResNet', 'ResNetVD', 'TimmBackbone']

# timm takes a while to import, and ConvNeXt does not need it.
__getattr__ = lazy_exports(__name__, dict(ResNetVD='resnet_vd', TimmBackbone='timm_backbone'))
