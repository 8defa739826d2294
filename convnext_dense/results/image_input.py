"""An image that is predicted on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

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
    """Return the image files in a folder and in its folders, in order. Links to folders are followed.

    Args:
        folder: The folder.
        argument: The argument that it was given as.

    Raises:
        UsageError: If there is none, or one of the folders cannot be read.

    Example:
        >>> images_in('photos')  # doctest: +SKIP
        ['photos/a.jpg', 'photos/more/b.png']
    """
    files = sorted(str(file) for file in _files_in(Path(folder), argument) if _is_image(file))
    if not files:
        raise UsageError(f'{argument}: there is no image in {folder} ({", ".join(SUFFIXES)}).')
    return files


def _files_in(folder: Path, argument: str) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:
        raise UsageError(f'{argument}: {error.filename} cannot be read: {error.strerror}.')

    real = Path(os.path.realpath(folder))
    seen = {str(place) for place in (real, *real.parents)}
    for path, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        # A link may lead to a folder that is read already, or to one around it.
        new = {name: os.path.realpath(os.path.join(path, name)) for name in sorted(folders)}
        folders[:] = [name for name, place in new.items() if place not in seen and not seen.add(place)]
        yield from (Path(path, name) for name in names)


def _is_image(file: Path) -> bool:
    # macOS leaves files such as ._a.jpg on other disks.
    return file.suffix.lower() in SUFFIXES and not file.name.startswith('.') and file.is_file()
