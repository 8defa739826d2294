"""Saves objects as YOLO's text files, and as pictures cut out of the image."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from convnext_dense.results.masks import CroppedMask, cropped
from convnext_dense.results.result import Result

# What the names of folders must not have on any system.
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
DIGITS = 6


def yolo_names(classes: Sequence[str]) -> str:
    """Return the content of YOLO's ``data.yaml``: the names of the classes.

    Example:
        >>> print(yolo_names(['cat']), end='')
        names:
          0: "cat"
    """
    lines = [f'  {i}: {json.dumps(name, ensure_ascii=False)}' for i, name in enumerate(classes)]
    return '\n'.join(['names:', *lines, ''])


def yolo_lines(result: Result) -> Iterator[str]:
    """Yield a line for each object: its class and its box, or the outline of its mask, as parts of the image's size.

    Args:
        result: The result. Of a mask in several parts, the largest one is outlined.

    Example:
        >>> image = Result(None, (100, 200), ['cat'], [], np.array([[0, 0, 100, 50]]), np.array([0]), np.array([0.9]))
        >>> list(yolo_lines(image))
        ['0 0.25 0.25 0.5 0.5']
    """
    height, width = result.size
    for i in range(len(result)):
        left, top, right, bottom = result.box(i)
        numbers = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width]
        numbers.append((bottom - top) / height)
        if result.masks is not None:
            outline = _outline(cropped(result.masks, i))
            if outline is None:
                continue
            numbers = (outline / [width, height]).ravel().tolist()
        yield ' '.join([str(int(result.labels[i])), *(f'{round(number, DIGITS):g}' for number in numbers)])


def _outline(part: CroppedMask) -> np.ndarray | None:
    outlines, _ = cv2.findContours(part.pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    largest = max(outlines, key=cv2.contourArea).reshape(-1, 2)
    if len(largest) < 3:
        # A line of pixels, as the box around it.
        (left, top), (right, bottom) = largest.min(0), largest.max(0) + 1
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        return corners + np.array([part.left, part.top])
    # Through the middle of pixels.
    return largest + np.array([part.left + 0.5, part.top + 0.5])


def crops(result: Result, pixels: np.ndarray) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name of each object's class, as that of a folder, and its part of the image.

    Args:
        result: The result.
        pixels: The image as RGB of 8 bits.
    """
    height, width = result.size
    for i, name in enumerate(result.names):
        left, top, right, bottom = (round(edge) for edge in result.box(i))
        left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        right, bottom = min(max(right, left + 1), width), min(max(bottom, top + 1), height)
        folder = UNSAFE.sub('-', name).strip(' .') or f'class-{result.labels[i]}'
        yield folder, Image.fromarray(pixels[top:bottom, left:right])


def write_yolo(result: Result, path: Path) -> None:
    """Write the text file of an image. One without objects is empty.

    Args:
        result: The result.
        path: The file.
    """
    path.write_text(''.join(f'{line}\n' for line in yolo_lines(result)))
