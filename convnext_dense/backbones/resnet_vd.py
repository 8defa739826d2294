"""ResNet-18-vd and ResNet-34-vd, the backbones of RT-DETR's small models."""

from typing import cast

from torch import Tensor, nn

from convnext_dense.backbones.timm_backbone import TimmBackbone
from convnext_dense.registry import MODELS

FIRST = 'layer1.0.'
NAMES = ('resnet18d', 'resnet34d')


@MODELS.register_module()
class ResNetVD(TimmBackbone):
    """timm's resnet18d or resnet34d with a convolution in its first shortcut, as PaddleClas and RT-DETR have it.

    Larger ones have it in timm as well. It starts as the identity, and timm's own weights leave it so.

    Args:
        model_name: timm's name.
        arguments: The others of TimmBackbone.

    Raises:
        ValueError: If it is another model.

    Reference:
        `RT-DETRv2 <https://arxiv.org/abs/2407.17140>`_

    Example:
        >>> backbone = ResNetVD('resnet18d', out_indices=(1, 2, 3))
        >>> backbone.model.layer1[0].downsample[1].weight.shape
        torch.Size([64, 64, 1, 1])
    """

    def __init__(self, model_name: str, **arguments: object) -> None:
        if model_name.partition('.')[0] not in NAMES:
            raise ValueError(f'model_name of ResNetVD must be one of {", ".join(NAMES)}; got {model_name!r}.')
        super().__init__(model_name, **cast(dict, arguments))
        convolution = nn.Conv2d(64, 64, 1, bias=False)
        nn.init.dirac_(convolution.weight)
        # By timm's names: 0 is a pool where the stride is 2.
        shortcut = nn.Sequential(nn.Identity(), convolution, nn.BatchNorm2d(64))
        # Frozen stages include it.
        shortcut.requires_grad_(self.model.layer1[0].conv1.weight.requires_grad)
        self.model.layer1[0].downsample = shortcut
        self.train(self.training)

    def load_timm_weights(self, weights: dict[str, Tensor]) -> None:
        """Load weights as timm publishes them, without the first shortcut's."""
        shortcut = self.model.layer1[0].downsample
        self.model.layer1[0].downsample = None
        try:
            super().load_timm_weights(weights)
        finally:
            self.model.layer1[0].downsample = shortcut

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer id and the number of layers, as TimmBackbone does."""
        first = f'{prefix}model.{FIRST}'
        name = f'{first}conv1.weight' if param_name.startswith(f'{first}downsample.') else param_name
        return super().get_layer_depth(name, prefix)
