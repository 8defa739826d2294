"""The linear layer over a feature map's channels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseLinear(nn.Linear):
    r"""A linear layer over the last dimension: what a 1x1 convolution computes, channels last.

    .. math:: y = x W^T + b

    Compiled for a CPU, the bias is an addition of its own. PyTorch's matrix product with a bias first copies the bias
    all over the output, which takes as long as the GELU; an addition is fused with what follows instead. On a GPU, the
    product adds the bias itself.

    Shape:
        (..., in_features) to (..., out_features).

    Example:
        >>> import torch
        >>> PointwiseLinear(96, 384)(torch.rand(2, 56, 56, 96)).shape
        torch.Size([2, 56, 56, 384])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to `x`, (..., in_features)."""
        if torch.compiler.is_compiling() and x.device.type == 'cpu' and self.bias is not None:
            product = F.linear(x, self.weight)
            return product + self.bias.to(product.dtype)
        return super().forward(x)
