"""A linear layer over the channels of a feature map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseLinear(nn.Linear):
    r"""A linear layer over the last dimension, which is a 1x1 convolution for channels-last maps.

    .. math:: y = x W^T + b

    When compiled for a CPU, the layer adds the bias after the matrix product: PyTorch's product with a bias first
    copies the bias to the whole output, which takes as long as the GELU, while a separate addition is fused with the
    layer that follows. On a GPU, the product adds the bias at no cost.

    Shape:
        (..., in_features) to (..., out_features).

    Example:
        >>> import torch
        >>> PointwiseLinear(96, 384)(torch.rand(2, 56, 56, 96)).shape
        torch.Size([2, 56, 56, 384])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layer to `input`, (..., in_features)."""
        if torch.compiler.is_compiling() and input.device.type == 'cpu' and self.bias is not None:
            product = F.linear(input, self.weight)
            return product + self.bias.to(product.dtype)
        return super().forward(input)
