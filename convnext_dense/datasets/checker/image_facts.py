"""Reads every image of a dataset, in several processes."""

import hashlib
import math
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from convnext_dense.datasets.images.file_faults import unreadable
from convnext_dense.datasets.images.image_faults import (
    any_size,
    lost_channel,
    read_header,
    read_pixels,
    squeezed_levels,
)
from convnext_dense.datasets.images.orientation import UPRIGHT, orientation
from convnext_dense.errors import RunError, UsageError
from convnext_dense.regular_files import special_kind

# An image whose values deviate by less, of 255, is of one color.
CONSTANT = 2.0
# Fewer files are read as fast in one process as others start.
FEW_FILES = 200
CHUNK = 16
MOST_WORKERS_A_CORE = 8

Task = TypeVar('Task')
Fact = TypeVar('Fact')
Progress = Callable[[Iterable, int, str], Iterable]


@dataclass(frozen=True)
class ImageFacts:
    """What an image file is.

    Args:
        file: The file.
        fault: The kind of fault that keeps it from being read; '' if it can be.
        detail: The sentence on that fault, or on what the loader loses.
        size: Height and width as stored.
        mode: Pillow's mode.
        bits: How many a channel has.
        format: Pillow's name of the format.
        frames: How many images the file has.
        tag: The EXIF orientation, 1 to 8.
        digest: A hash of the pixels.
        is_constant: Whether it has one color.
        loss: The kind of what OpenCV loses of it: 'image-16-bit' or 'image-fourth-channel'.
    """

    file: str
    fault: str = ''
    detail: str = ''
    size: tuple[int, int] | None = None
    mode: str = ''
    bits: int = 8
    format: str = ''
    frames: int = 1
    tag: int = UPRIGHT
    digest: bytes = b''
    is_constant: bool = False
    loss: str = ''


def read_image_facts(file: str) -> ImageFacts:
    """Read an image, and return what it is.

    Args:
        file: A path on this machine.

    Example:
        >>> read_image_facts('no-such.jpg').fault
        'image-missing'
    """
    if not os.path.exists(file):
        return ImageFacts(file, 'image-missing', str(unreadable(file, FileNotFoundError())))
    if special_kind(file):
        return ImageFacts(file, 'image-unreadable', str(unreadable(file, AssertionError())))
    try:
        header = read_header(file)
    except UsageError as error:
        return ImageFacts(file, 'image-too-large', str(error))
    if header.size is None:
        pixels = read_pixels(file, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            return ImageFacts(file, 'image-unreadable', str(unreadable(file, AssertionError())))
        mode = {1: 'L', 3: 'RGB', 4: 'RGBA'}.get(1 if pixels.ndim == 2 else pixels.shape[2], '')
        header = type(header)(pixels.shape[:2], mode, 8 * pixels.dtype.itemsize)
    else:
        try:
            with warnings.catch_warnings(), any_size(), Image.open(file) as image:
                warnings.simplefilter('ignore')
                # Palettes of two images may give the same numbers other colors.
                pixels = np.asarray(image.convert() if image.mode == 'P' else image)
        except Exception as error:  # noqa: BLE001 - decoders raise anything
            return ImageFacts(file, 'image-truncated', str(unreadable(file, error)), header.size, header.mode)
        if not _has_reader(file):
            detail = (
                f'{file}: OpenCV, which loads the images, cannot read {header.format or "this format"}; save it as PNG'
            )
            return ImageFacts(file, 'image-unreadable', detail, header.size, header.mode)
    loss, detail = _loss(file, header.bits, header.mode)
    return ImageFacts(
        file,
        '',
        detail,
        header.size,
        header.mode,
        header.bits,
        header.format,
        header.frames,
        orientation(file),
        _digest(pixels),
        _is_constant(pixels),
        loss,
    )


def _has_reader(file: str) -> bool:
    try:
        return cv2.haveImageReader(os.fsencode(file).decode('utf-8'))
    except UnicodeDecodeError:
        # Such a name ends OpenCV with a segmentation fault.
        return read_pixels(file, cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None


def _loss(file: str, bits: int, mode: str) -> tuple[str, str]:
    if bits == 16:
        loaded = read_pixels(file, cv2.IMREAD_COLOR)
        if loaded is not None and (sentence := squeezed_levels(file, loaded)):
            return 'image-16-bit', sentence
    if mode == 'RGBA' and (sentence := lost_channel(file)):
        return 'image-fourth-channel', sentence
    return '', ''


def _digest(pixels: np.ndarray) -> bytes:
    found = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).view(np.uint8).data)
    return found.digest()


def _is_constant(pixels: np.ndarray) -> bool:
    if pixels.dtype == np.uint8:
        return float(cv2.meanStdDev(pixels)[1].max()) < CONSTANT
    return bool((pixels == pixels[:1, :1]).all())


def in_processes(
    function: Callable[[Task], Fact],
    tasks: Sequence[Task],
    workers: int | None = None,
    progress: Progress | None = None,
    title: str = '',
) -> Iterator[Fact]:
    """Yield what a function returns for each task, in their order.

    Args:
        function: A function of a module.
        tasks: What it takes.
        workers: How many processes; by default as many as there are cores. Few tasks are done in this one.
        progress: Wraps the results to show how far it is: takes them, how many there are, and what they are.
        title: What they are.

    Raises:
        RunError: If a process is ended from outside.

    Example:
        >>> list(in_processes(abs, [-1, 2]))
        [1, 2]
    """
    cores = len(os.sched_getaffinity(0))
    # All of them are started at once.
    workers = cores if workers is None else min(workers, math.ceil(len(tasks) / CHUNK), MOST_WORKERS_A_CORE * cores)
    show = progress or (lambda results, total, title: results)
    if workers <= 1 or len(tasks) < FEW_FILES:
        yield from show(map(function, tasks), len(tasks), title)
        return
    # Not forked: libraries that have started threads, such as PyTorch's, may lock up in a copy of this process.
    pool = ProcessPoolExecutor(workers, get_context('spawn'), _start)
    try:
        yield from show(pool.map(function, tasks, chunksize=CHUNK), len(tasks), title)
    except BrokenProcessPool as error:
        raise RunError(f'a process that read {title} was ended, perhaps for its memory; take fewer workers.') from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    cv2.setNumThreads(1)
    # The process that waits says it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
