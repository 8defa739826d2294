"""The layers that the backbones are made of, in plain PyTorch, and the block that runs with the fused kernels."""

from convnext_dense.layers.activation import build_activation
from convnext_dense.layers.drop_path import DropPath
from convnext_dense.layers.fused_block import can_fuse, check_kernels, fused_block
from convnext_dense.layers.grn import GRN
from convnext_dense.layers.layer_norm import LayerNorm2d
from convnext_dense.layers.norm import build_norm
from convnext_dense.layers.pointwise import PointwiseLinear
from convnext_dense.layers.simple_feature_pyramid import SimpleFeaturePyramid

__all__ = [
    'GRN',
    'DropPath',
    'LayerNorm2d',
    'PointwiseLinear',
    'SimpleFeaturePyramid',
    'build_activation',
    'build_norm',
    'can_fuse',
    'check_kernels',
    'fused_block',
]
