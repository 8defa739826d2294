"""The layers that the backbone is made of, in plain PyTorch."""

from convnext_dense.layers.grn import GRN
from convnext_dense.layers.layer_norm import LayerNorm2d
from convnext_dense.layers.norm import build_norm

__all__ = ['GRN', 'LayerNorm2d', 'build_norm']
