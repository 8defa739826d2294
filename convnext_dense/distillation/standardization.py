"""Gives each channel of a teacher's features a mean of 0 and a standard deviation of 1."""

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

# After so many steps, the mean and the standard deviation stay as they are: the target must not move.
MEASURED_STEPS = 100
EPSILON = 1e-6


class Standardization(nn.Module):
    """Subtracts each channel's mean and divides by its standard deviation.

    Both are those of all images of the first 100 training steps, of all processes, and are part of the state dict. A
    few channels of a ViT have values many times as large as the others, and would be most of the loss.

    Args:
        channels: C.

    Shape:
        (N, C, H, W) to (N, C, H, W), in float32.

    Reference:
        Teachers' features are normalized per latent dimension in `Theia <https://arxiv.org/abs/2407.20179>`_.

    Example:
        >>> standardize = Standardization(2)
        >>> maps = torch.tensor([0.0, 2.0, 10.0, 50.0]).view(1, 2, 1, 2)
        >>> standardize(maps).flatten().round().tolist()
        [-1.0, 1.0, -1.0, 1.0]
    """

    mean: Tensor
    square: Tensor
    steps: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels))
        # The mean of the squares.
        self.register_buffer('square', torch.ones(channels))
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def forward(self, maps: Tensor) -> Tensor:
        """Standardize `maps`, and take them into account in the first steps of a training."""
        maps = maps.float()
        if self.training and self.steps < MEASURED_STEPS:
            self._measure(maps)
        deviation = (self.square - self.mean**2).clamp(min=EPSILON).sqrt()
        return (maps - self.mean[:, None, None]) / deviation[:, None, None]

    @torch.no_grad()
    def _measure(self, maps: Tensor) -> None:
        moments = torch.stack([maps.mean((0, 2, 3)), (maps**2).mean((0, 2, 3))])
        # Each process has as many images.
        all_reduce(moments, 'mean')
        self.steps += 1
        self.mean += (moments[0] - self.mean) / self.steps
        self.square += (moments[1] - self.square) / self.steps
