"""Exchanges the first and the third of any number of channels."""

from torch import Tensor, nn

COLORS = 3
# What mmdet's, mmseg's and this package's data preprocessors call it.
SWITCHES = ('_channel_conversion', 'channel_conversion', 'exchange')


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


def exchanges_colors(preprocessor: nn.Module) -> bool:
    """Return whether a data preprocessor exchanges the first and the third channel.

    Args:
        preprocessor: mmdet's, mmseg's or this package's.

    Example:
        >>> from mmengine.model import ImgDataPreprocessor
        >>> exchanges_colors(ImgDataPreprocessor(bgr_to_rgb=True))
        True
    """
    return any(getattr(preprocessor, name, False) for name in SWITCHES)
