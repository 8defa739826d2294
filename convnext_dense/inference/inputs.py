"""Images to predict on, however they are given: files, folders, patterns, addresses, videos, arrays, PIL images."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from convnext_dense.errors import UsageError
from convnext_dense.inference.video.videos import is_video, read_frames
from convnext_dense.results.image_input import ImageInput, images_in

WEB = ('http://', 'https://')
ORDERS = ('rgb', 'bgr')
# Pillow's kinds of images that 8 bits do not hold.
DEEP_MODES = ('I', 'F')


def image_inputs(source: Any, channels: str = 'rgb') -> Iterator[ImageInput]:  # noqa: ANN401 - see Args
    """Yield the images of a source.

    Args:
        source: A path, a folder (searched with its sub-folders), a pattern such as ``photos/*.jpg``, an address, a
            video's path or address, a webcam's number as a text, a PIL image, an array with shape (height, width, 3) or
            (height, width), a tensor with shape (3, height, width), of 8 bits each; or several of these.
        channels: The order of an array's or a tensor's channels, 'rgb' or 'bgr'. A file says its own.

    Raises:
        UsageError: If there is no such file, or no image in a folder, or it is none of these.

    Example:
        >>> [image.name for image in image_inputs([np.zeros((4, 4, 3), np.uint8)])]
        ['0']
    """
    if channels not in ORDERS:
        raise UsageError(f'channels must be one of {", ".join(ORDERS)}, not {channels!r}.')
    if isinstance(source, str | Path):
        yield from _from_text(str(source))
    elif isinstance(source, np.ndarray | torch.Tensor | Image.Image):
        yield _from_pixels(source, 0, channels)
    elif isinstance(source, Iterable):
        for number, part in enumerate(source):
            if isinstance(part, str | Path):
                yield from _from_text(str(part))
            else:
                yield _from_pixels(part, number, channels)
    else:
        raise UsageError(f'inputs: {type(source).__name__} is no path, image, array or tensor, nor several of them.')


def image_files(text: str) -> list[str] | None:
    """Return the files that a text names: one, a folder's images, or those of a pattern; None if it names no files.

    Args:
        text: A path, a folder, a pattern; an address, a video or a webcam's number names no image files.

    Raises:
        UsageError: If there is no such file, or no image in a folder.

    Example:
        >>> image_files('https://example.org/a.jpg') is None
        True
    """
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        return images_in(path)
    if is_video(path) or '://' in text:
        return None
    if os.path.isfile(path):
        return [path]
    files = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
    files = [file for file in files if os.path.isfile(file)]
    if not files:
        raise UsageError(f'inputs: there is no file or folder {path}.')
    return files


def _from_text(text: str) -> Iterator[ImageInput]:
    files = image_files(text)
    if files is None and is_video(text):
        for video, frame, pixels in read_frames(text):
            yield ImageInput(f'{video.name}, frame {frame}', pixels=pixels, video=video, frame=frame)
    elif files is None:
        if not text.startswith(WEB):
            raise UsageError(f'inputs: {text} is no address of an image ({", ".join(WEB)}) or a video.')
        # Imported here, because it is rare.
        from convnext_dense.weights.storage.downloads import download

        yield ImageInput(text, str(download(text)))
    else:
        for file in files:
            if is_video(file):
                yield from _from_text(file)
            else:
                yield ImageInput(file, file)


def _from_pixels(image: Any, number: int, channels: str) -> ImageInput:  # noqa: ANN401 - checked below
    name = str(number)
    if isinstance(image, Image.Image):
        if image.mode.startswith(DEEP_MODES):
            raise UsageError(f'inputs: a PIL image of mode {image.mode} has more than 8 bits; give its file.')
        upright = ImageOps.exif_transpose(image)
        return ImageInput(getattr(image, 'filename', '') or name, pixels=np.asarray(upright.convert('RGB'))[..., ::-1])
    if isinstance(image, torch.Tensor):
        image = (image.permute(1, 2, 0) if image.dim() == 3 else image).cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise UsageError(f'inputs: {type(image).__name__} is no path, image, array or tensor.')
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise UsageError(
            f'inputs: an array or a tensor must be an image of 8 bits with 3 channels or 1; got {image.dtype} with '
            f'shape {tuple(image.shape)}.'
        )
    if not image.size:
        raise UsageError(f'inputs: an array or a tensor of shape {tuple(image.shape)} has no pixels.')
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.dstack([image.reshape(image.shape[:2])] * 3)
    return ImageInput(name, pixels=image[..., ::-1] if channels == 'rgb' else image)
