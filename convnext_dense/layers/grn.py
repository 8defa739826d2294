"""Global response normalization."""

import torch
from torch import Tensor, nn


class GRN(nn.Module):
    r"""Global response normalization of ConvNeXt V2, channels last.

    .. math:: y = x + \gamma \, x \, \frac{g}{\mathrm{mean}_c(g) + \epsilon} + \beta,
        \qquad g_c = \lVert x_c \rVert_2

    The norm of a channel is over all pixels of an image. It is computed in float32, because squares of half-precision
    activations overflow. Finite activations give finite results: norms beyond float32's range, which bfloat16 has too,
    and results beyond float16's are limited.

    Args:
        num_channels: C.
        eps: Added to the mean norm.

    Shape:
        (N, H, W, C) to (N, H, W, C). The parameters are (1, 1, 1, C), as in the official repository.

    Reference:
        https://arxiv.org/abs/2301.00808

    Example:
        >>> import torch
        >>> GRN(384)(torch.rand(2, 14, 14, 384)).shape
        torch.Size([2, 14, 14, 384])
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, num_channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x`, (N, H, W, C)."""
        norm = torch.linalg.vector_norm(x.float(), dim=(1, 2), keepdim=True)
        largest = torch.finfo(torch.float32).max
        # The mean is of a sum of norms, which must not overflow either.
        bounded = norm.clamp(max=largest / (2 * x.shape[-1]))
        response = bounded / (bounded.mean(dim=-1, keepdim=True) + self.eps)
        # No value of a channel is larger than its norm. That says enough, except in float16's small range.
        peak = norm.detach().clamp(max=largest)
        if x.dtype == torch.float16:
            peak = torch.linalg.vector_norm(x.detach(), torch.inf, dim=(1, 2), keepdim=True).float()
        # Half of the range, since values are rounded and `beta` is added. The scale itself has the range as its limit.
        limit = (torch.finfo(x.dtype).max / 2 / peak).clamp(max=min(torch.finfo(x.dtype).max, largest))
        scale = torch.minimum(torch.maximum(1 + self.gamma * response, -limit), limit)
        return x * scale.to(x.dtype) + self.beta.to(x.dtype)
