"""Stochastic depth."""

from torch import Tensor, nn


class DropPath(nn.Module):
    """Drops a residual branch for random samples in training, and scales the other samples to keep the mean.

    Args:
        drop_prob: Probability to drop a sample, at least 0 and below 1.

    Shape:
        (N, ...) to (N, ...).

    Reference:
        https://arxiv.org/abs/1603.09382

    Example:
        >>> import torch
        >>> DropPath(0.5).eval()(torch.ones(2, 3)).sum().item()
        6.0
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        """Drop samples of `x`, (N, ...)."""
        if self.drop_prob == 0 or not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        # Drawn as timm draws it, so that the same seed drops the same samples.
        kept = x.new_empty((x.shape[0], *(1 for _ in x.shape[1:]))).bernoulli_(keep_prob)
        return x * kept.div_(keep_prob)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f'drop_prob={self.drop_prob:.3f}'
