"""Reads and writes videos, a frame at a time."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import cv2
import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.results.image_input import Video

SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
STREAMS = ('rtsp://', 'rtmp://', 'udp://')
# Of a webcam that does not say.
FRAMES_A_SECOND = 25.0
CODEC = 'mp4v'
# OpenCV's level of a log without messages.
SILENT = 0


def is_video(text: str) -> bool:
    """Return whether a path, an address or a number is a video's or a webcam's.

    Args:
        text: The path, address or number. A file or folder of digits is no webcam.

    Example:
        >>> is_video('clip.MP4'), is_video('rtsp://camera/1'), is_video('0'), is_video('photo.jpg')
        (True, True, True, False)
    """
    if text.isdecimal():
        return not os.path.exists(text)
    name = urlparse(text).path if '://' in text else text
    return text.startswith(STREAMS) or name.lower().endswith(SUFFIXES)


def describe_video(source: str) -> Video:
    """Return what a video says of itself.

    Args:
        source: As in `is_video`.

    Raises:
        UsageError: If it cannot be read.
    """
    capture = _open(source)
    try:
        return _describe(capture, source)
    finally:
        capture.release()


def read_frames(source: str) -> Iterator[tuple[Video, int, np.ndarray]]:
    """Yield the frames of a video: the video, the frame's number from 0, and its pixels as BGR.

    Args:
        source: As in `is_video`.

    Raises:
        UsageError: If it cannot be read.
    """
    capture = _open(source)
    try:
        video = _describe(capture, source)
        number = 0
        while True:
            is_there, pixels = capture.read()
            if not is_there:
                break
            yield video, number, pixels
            number += 1
    finally:
        capture.release()
    if not number:
        raise UsageError(f'inputs: {source} has no frame that can be read.')


class VideoFile:
    """Writes the frames of a video into a file.

    Args:
        path: The file, ending in .mp4.
        rate: How many frames a second are shown.

    Raises:
        UsageError: If it cannot be written.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self.writer: Any = None

    def write(self, frame: np.ndarray) -> None:
        """Write a frame. All have the size of the first.

        Args:
            frame: The frame as RGB, with shape (height, width, 3).
        """
        if self.writer is None:
            size = frame.shape[1], frame.shape[0]
            self.writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*CODEC), self.rate, size)
            if not self.writer.isOpened():
                raise UsageError(f'out: {self.path} cannot be written: OpenCV has no encoder {CODEC} here.')
        self.writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def close(self) -> None:
        """End the file."""
        if self.writer is not None:
            self.writer.release()


def _open(source: str) -> cv2.VideoCapture:
    place = os.path.expanduser(source)
    if '://' not in source and not source.isdecimal() and not os.path.isfile(place):
        raise UsageError(f'inputs: there is no file or folder {place}.')
    # OpenCV prints 20 lines for a webcam that is not there. OpenCV 4 has the function in another place.
    set_level = cv2.utils.logging.setLogLevel if hasattr(cv2.utils, 'logging') else cv2.setLogLevel
    level = set_level(SILENT)
    try:
        capture = cv2.VideoCapture(int(source) if source.isdecimal() else place)
    except cv2.error:
        capture = cv2.VideoCapture()
    finally:
        set_level(level)
    if not capture.isOpened():
        kind = f'webcam {source}' if source.isdecimal() else source
        raise UsageError(f'inputs: {kind} cannot be opened as a video.')
    return capture


def _describe(capture: cv2.VideoCapture, source: str) -> Video:
    rate = capture.get(cv2.CAP_PROP_FPS)
    length = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    size = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else FRAMES_A_SECOND
    return Video(source, size, rate, max(int(length), 0) if math.isfinite(length) else 0)
