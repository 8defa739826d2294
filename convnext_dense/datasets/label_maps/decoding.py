"""Decodes label maps as mmcv does, those of PNG files faster."""

import contextlib
import struct
import zlib

import cv2
import mmcv
import numpy as np

from convnext_dense.image_limit import MAX_PIXELS

PNG_START = b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR'
PNG_END = b'\x00\x00\x00\x00IEND\xaeB`\x82'
# Where the header has bit depth and color type, and their values for one channel of 8 bits.
DEPTH_AND_COLOR, GRAY_BYTES = slice(24, 26), b'\x08\x00'
# Chunks by which OpenCV would return other channels, or frames, than Pillow.
CHANGING = (b'tRNS', b'acTL')
# Where the header has the size, and compression, filter and interlacing.
SIZE, METHODS = slice(16, 24), slice(26, 29)
# A row's first byte if each pixel is stored as its difference from the one before.
DIFFERENCES = 1


def decode_label_map(data: bytes, backend: str = 'pillow') -> np.ndarray | None:
    """Decode a label map as `mmcv.imfrombytes` with the flag 'unchanged' does.

    Gray PNG files of 8 bits, as which label maps are published, are decoded by OpenCV, which is faster than Pillow and
    gives the same; those that OpenCV wrote are inflated and summed up here. OpenCV gives colors where a palette's
    indices are meant, so that other files are left to mmcv.

    Args:
        data: The file's bytes.
        backend: mmcv's `imdecode_backend`.

    Returns:
        The map, with shape (height, width), or with channels behind; None if OpenCV is the backend and cannot decode
        it. Pillow raises.

    Example:
        >>> data = cv2.imencode('.png', np.array([[3, 150]], np.uint8))[1].tobytes()
        >>> decode_label_map(data).tolist()
        [[3, 150]]
    """
    if backend == 'pillow' and _is_gray_png(data):
        summed = _sum_differences(data)
        if summed is not None:
            return summed
        # Pillow says what is wrong with a file that OpenCV finds damaged, or too large.
        with contextlib.suppress(cv2.error):
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            if decoded is not None and decoded.ndim == 2:
                return decoded
    return mmcv.imfrombytes(data, flag='unchanged', backend=backend)


def _is_gray_png(data: bytes) -> bool:
    """Return whether a file is a whole gray PNG of 8 bits, of one frame and without transparency."""
    if not (data.startswith(PNG_START) and data.endswith(PNG_END) and data[DEPTH_AND_COLOR] == GRAY_BYTES):
        return False
    header = data[: data.find(b'IDAT')]
    return not any(chunk in header for chunk in CHANGING)


def _sum_differences(data: bytes) -> np.ndarray | None:
    """Decode a PNG whose rows are all differences, as OpenCV writes them, faster than it does; None if it is none."""
    width, height = struct.unpack('>II', data[SIZE])
    if any(data[METHODS]) or not 0 < width * height <= MAX_PIXELS:
        return None
    inflater, size = zlib.decompressobj(), height * (width + 1)
    try:
        # Pillow's files have other rows soon.
        inflated = inflater.decompress(_stream(data), width + 2)
        if len(inflated) > width and any(inflated[row] != DIFFERENCES for row in range(0, len(inflated), width + 1)):
            return None
        inflated += inflater.decompress(inflater.unconsumed_tail, size + 1)
    except (ValueError, zlib.error):
        return None
    if len(inflated) != size or not inflater.eof:
        return None
    rows = np.frombuffer(inflated, np.uint8).reshape(height, width + 1)
    return _running_sums(rows[:, 1:]) if (rows[:, 0] == DIFFERENCES).all() else None


def _stream(data: bytes) -> bytes:
    """Return what a PNG has compressed. Raises ValueError if a chunk is damaged."""
    place, parts = 8, []
    while place < len(data):
        length, kind = struct.unpack('>I4s', data[place : place + 8].ljust(8, b'\0'))
        end = place + 8 + length
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], 'big') or end + 4 > len(data):
            raise ValueError(kind)
        parts += [data[place + 8 : end]] * (kind == b'IDAT')
        place = end + 4
    return b''.join(parts)


def _running_sums(rows: np.ndarray) -> np.ndarray:
    """Return the sums of each row up to each place, of 8 bits, by doubling the number of addends."""
    step, spare = 1, [np.empty(rows.shape, np.uint8) for _ in range(2)]
    while step < rows.shape[1]:
        sums = spare[step.bit_length() % 2]
        sums[:, :step] = rows[:, :step]
        np.add(rows[:, step:], rows[:, :-step], out=sums[:, step:])
        rows, step = sums, 2 * step
    return rows.copy() if rows.base is not None else rows
