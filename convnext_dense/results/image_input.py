"""An image that is predicted on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convnext_dense.errors import UsageError

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


def images_in(folder: str | Path, argument: str = 'inputs') -> list[str]:
    """Return the image files in a folder and in its folders, in order.

    Args:
        folder: The folder.
        argument: The argument that it was given as.

    Raises:
        UsageError: If there is none.

    Example:
        >>> images_in('photos')  # doctest: +SKIP
        ['photos/a.jpg', 'photos/more/b.png']
    """
    files = sorted(str(file) for file in Path(folder).rglob('*') if _is_image(file))
    if not files:
        raise UsageError(f'{argument}: there is no image in {folder} ({", ".join(SUFFIXES)}).')
    return files


def _is_image(file: Path) -> bool:
    # macOS leaves files such as ._a.jpg on other disks.
    return file.suffix.lower() in SUFFIXES and not file.name.startswith('.') and file.is_file()
