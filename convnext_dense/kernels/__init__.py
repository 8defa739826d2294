"""Triton kernels for the ConvNeXt block, as operators of PyTorch.

Importing this package registers the operators. It imports no Triton: the first launch does.
"""

from convnext_dense.kernels.depthwise_conv.operators import depthwise_conv_norm
from convnext_dense.kernels.pointwise_mlp.operators import pointwise_mlp

__all__ = ['CHOICES', 'depthwise_conv_norm', 'pointwise_mlp']

# What a block's `kernels` may be: PyTorch, or these kernels wherever they can run.
CHOICES = ('torch', 'triton')
