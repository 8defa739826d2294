"""Exchanges the first and the third of any number of channels."""

from torch import Tensor, nn

COLORS = 3
# What mmdet's, mmseg's and this package's data preprocessors call it.
SWITCHES = ('_channel_conversion', 'channel_conversion', 'exchange')


def exchange_colors(image: Tensor) -> Tensor:
    """Return an image whose first and third channel are exchanged. Others stay, and so does one of fewer channels.

    Args:
        image: The image, with shape (channels, height, width).

    Example:
        >>> import torch
        >>> exchange_colors(torch.arange(4).view(4, 1, 1)).flatten().tolist()
        [2, 1, 0, 3]
    """
    return image[exchanged(len(image))] if len(image) >= COLORS else image


def exchanged(channels: int) -> list[int]:
    """Return the order of channels of which the first and the third are exchanged, if there are at least three.

    Args:
        channels: How many there are.

    Example:
        >>> exchanged(4), exchanged(2)
        ([2, 1, 0, 3], [0, 1])
    """
    order = list(range(channels))
    return [*order[COLORS - 1 :: -1], *order[COLORS:]] if channels >= COLORS else order


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
