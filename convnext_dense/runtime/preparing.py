"""What is done to an image before an exported model sees it, equal to mmcv's transforms pixel by pixel."""

import os
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE
from convnext_dense.runtime.description import SEGMENTATION, Description

INTERPOLATIONS = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
    'lanczos': cv2.INTER_LANCZOS4,
}
# What OpenCV's error has if an image is larger than the limit.
PIXELS_ERROR = 'validateInputImageSize'


@dataclass(frozen=True)
class Prepared:
    """An image as a model is fed it.

    Args:
        pixels: The image, with shape (height, width, 3).
        scale: How many of its pixels one of the original's is, to the right and down.
        size: Its height and width without what was filled up.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    size: tuple[int, int]


def prepare(pixels: np.ndarray, steps: list[dict[str, Any]]) -> Prepared:
    """Return an image as a model is fed it.

    Args:
        pixels: The image, with shape (height, width, channels).
        steps: What is done, as in `Description`.

    Example:
        >>> steps = [dict(type='resize', size=[8, 4], keep_ratio=True, interpolation='bilinear')]
        >>> prepared = prepare(np.zeros((4, 4, 3), np.uint8), [*steps, dict(type='pad', size=[8, 4], value=[114] * 3)])
        >>> prepared.pixels.shape, prepared.scale, prepared.size
        ((4, 8, 3), (1.0, 1.0), (4, 4))
    """
    prepared = Prepared(pixels, (1.0, 1.0), pixels.shape[:2])
    for step in steps:
        prepared = (_resize if step['type'] == 'resize' else _pad)(prepared, step)
    return prepared


def feed(pixels: np.ndarray, description: Description) -> tuple[dict[str, np.ndarray], Prepared]:
    """Return a graph's inputs for an image, by their names, and the image as it is fed.

    Args:
        pixels: The image as BGR of 8 bits, with shape (height, width, 3).
        description: What the file says of its model.
    """
    prepared = prepare(pixels, description.steps)
    inputs = dict(images=np.ascontiguousarray(prepared.pixels)[None])
    if description.task == SEGMENTATION:
        height, width = prepared.pixels.shape[:2]
        # With what was filled up, the map is larger than the image.
        rows = round(pixels.shape[0] * height / prepared.size[0])
        columns = round(pixels.shape[1] * width / prepared.size[1])
        inputs['size'] = np.array([rows, columns], np.int64)
    return inputs, prepared


def fit_to_shape(steps: list[dict[str, Any]], shape: tuple[int, int], value: list[int]) -> list[dict[str, Any]]:
    """Return the steps that make images of one size: resized to fit into it, and filled up at the right and below.

    A model whose images are all stretched to one size gets them stretched to this one.

    Args:
        steps: The model's own.
        shape: Height and width in pixels.
        value: The color that fills images up, if the steps have none.
    """
    first = next((step for step in steps if step['type'] == 'resize'), {})
    size = [shape[1], shape[0]]
    keeps = first.get('keep_ratio', True) or len(set(first.get('factor', (0, 1)))) == 1
    resized = dict(type='resize', size=size, keep_ratio=keeps, fits=True)
    fill = next((step['value'] for step in steps if step['type'] == 'pad'), value)
    resized['interpolation'] = first.get('interpolation', 'bilinear')
    return [resized, dict(type='pad', size=size, value=fill)]


def _resize(prepared: Prepared, step: dict[str, Any]) -> Prepared:
    height, width = prepared.pixels.shape[:2]
    if factor := step.get('factor'):
        size = int(width * factor[0]), int(height * factor[1])
    else:
        size = step['size']
        if step['keep_ratio']:
            factor = min(max(size) / max(height, width), min(size) / min(height, width))
            if step.get('fits'):
                factor = min(size[0] / width, size[1] / height)
            size = int(width * factor + 0.5), int(height * factor + 0.5)
    size = max(size[0], 1), max(size[1], 1)
    pixels = cv2.resize(prepared.pixels, size, interpolation=INTERPOLATIONS[step['interpolation']])
    scale = prepared.scale[0] * size[0] / width, prepared.scale[1] * size[1] / height
    return Prepared(pixels, scale, (size[1], size[0]))


def _pad(prepared: Prepared, step: dict[str, Any]) -> Prepared:
    height, width = prepared.pixels.shape[:2]
    if divisor := step.get('divisor'):
        size = -(-width // divisor) * divisor, -(-height // divisor) * divisor
    else:
        size = step['size']
    right, below = max(size[0] - width, 0), max(size[1] - height, 0)
    value = step['value']
    pixels = cv2.copyMakeBorder(prepared.pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=value)
    return replace(prepared, pixels=pixels)


def read_image(path: str) -> np.ndarray:
    """Return a file's image as BGR of 8 bits, turned as its EXIF data says.

    Args:
        path: The file.

    Raises:
        UsageError: If it cannot be read.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UsageError(f'inputs: {path} cannot be read: {error.strerror}.') from error
    return decode_image(content, path)


def decode_image(content: np.ndarray, name: str, limit_name: str = PIXEL_LIMIT_VARIABLE) -> np.ndarray:
    """Return an image as BGR of 8 bits, turned as its EXIF data says.

    Args:
        content: The bytes of a file.
        name: What the image is called.
        limit_name: What its reader set the limit of pixels by.

    Raises:
        UsageError: If it is no image, or has too many pixels.

    Example:
        >>> decode_image(np.zeros(8, np.uint8), 'a.png')
        Traceback (most recent call last):
        ...
        convnext_dense.errors.UsageError: inputs: a.png is no image that OpenCV reads.
    """
    try:
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except cv2.error as error:
        limit = int(os.environ.get(PIXEL_LIMIT_VARIABLE, 2**30))
        raise UsageError(
            f'inputs: {name} has more than {limit:,} pixels, the limit that {limit_name} sets.'
            if PIXELS_ERROR in str(error)
            else f'inputs: {name} cannot be decoded by OpenCV.'
        ) from error
    if pixels is None:
        raise UsageError(f'inputs: {name} is no image that OpenCV reads.')
    return pixels
