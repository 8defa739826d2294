"""LayerNorm over the channels of a feature map."""

import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.LayerNorm):
    r"""LayerNorm over the channels at each pixel.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \gamma + \beta

    The mean and the variance are over C. A channels-last input is not copied and gives a channels-last output.

    Args:
        num_channels: C.
        eps: Added to the variance.

    Shape:
        (N, C, H, W) to (N, C, H, W).

    Reference:
        https://arxiv.org/abs/1607.06450

    Example:
        >>> import torch
        >>> LayerNorm2d(96)(torch.rand(2, 96, 56, 56)).shape
        torch.Size([2, 96, 56, 56])
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__(num_channels, eps=eps)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize `input`, (N, C, H, W)."""
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
