"""The fused GPU forms of a block's layers, in Triton; `convnext_dense.layers` chooses between them and PyTorch.

`import convnext_dense.kernels` imports no Triton: the first launch does.
"""

from convnext_dense.kernels.choice import CHOICES, use_kernels
from convnext_dense.kernels.depthwise_conv.operators import depthwise_conv, depthwise_conv_norm
from convnext_dense.kernels.pointwise_mlp.operators import pointwise_mlp

__all__ = ['CHOICES', 'depthwise_conv', 'depthwise_conv_norm', 'pointwise_mlp', 'use_kernels']
