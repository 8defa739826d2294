"""An image that is predicted on."""

from dataclasses import dataclass

import numpy as np

# Of image files, in folders.
SUFFIXES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class Video:
    """A video that is read.

    Args:
        name: Its path, address, or the webcam's number.
        size: Its height and width in pixels.
        rate: How many frames it has a second.
        length: How many frames it has; 0 if it does not say.
    """

    name: str
    size: tuple[int, int]
    rate: float
    length: int


@dataclass(frozen=True)
class ImageInput:
    """An image to predict on.

    Args:
        name: What it is called: its path or address, or its number.
        path: Its file, if it is in one.
        pixels: Else the image as BGR of 8 bits, with shape (height, width, 3).
        video: The video that it is a frame of.
        frame: Its number there.
    """

    name: str
    path: str | None = None
    pixels: np.ndarray | None = None
    video: Video | None = None
    frame: int = 0
