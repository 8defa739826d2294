"""Exchanges the first and the third of any number of channels."""

from torch import Tensor

COLORS = 3


class AnyChannels:
    """What makes a data preprocessor exchange the first and the third channel if there are at least three.

    Attributes:
        exchange: Whether it does.
    """

    exchange: bool

    def forward(self, data: dict, training: bool = False) -> dict:
        """Exchange the channels, and do what the preprocessor does."""
        if self.exchange:
            data = {**data, 'inputs': [exchange_colors(image) for image in data['inputs']]}
        return super().forward(data, training)


def exchange_colors(image: Tensor) -> Tensor:
    """Return an image whose first and third channel are exchanged. Others stay, and so does one of fewer channels.

    Args:
        image: The image, with shape (channels, height, width).

    Example:
        >>> import torch
        >>> exchange_colors(torch.arange(4).view(4, 1, 1)).flatten().tolist()
        [2, 1, 0, 3]
    """
    channels = len(image)
    return image[[2, 1, 0, *range(COLORS, channels)]] if channels >= COLORS else image
