"""Other people's weights: their layouts are recognised and renamed whenever a state dict is loaded."""

from convnext_dense.backbones import ConvNeXt
from convnext_dense.checkpoints.layouts import rename_to_official

ConvNeXt.state_dict_converters.append(rename_to_official)

__all__ = ['rename_to_official']
