"""The layers that the backbones are made of, in plain PyTorch."""

from convnext_dense.layers.grn import GRN
from convnext_dense.layers.layer_norm import LayerNorm2d
from convnext_dense.layers.norm import build_norm
from convnext_dense.layers.pointwise import PointwiseLinear
from convnext_dense.layers.simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['GRN', 'LayerNorm2d', 'PointwiseLinear', 'SimpleFeaturePyramid', 'build_norm']
