"""Decodes label maps as mmcv does, those of PNG files faster."""

import contextlib

import cv2
import mmcv
import numpy as np

PNG_START = b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR'
PNG_END = b'\x00\x00\x00\x00IEND\xaeB`\x82'
# Where the header has bit depth and color type, and their values for one channel of 8 bits.
DEPTH_AND_COLOR, GRAY_BYTES = slice(24, 26), b'\x08\x00'
# Chunks by which OpenCV would return other channels, or frames, than Pillow.
CHANGING = (b'tRNS', b'acTL')


def decode_label_map(data: bytes, backend: str = 'pillow') -> np.ndarray | None:
    """Decode a label map as `mmcv.imfrombytes` with the flag 'unchanged' does.

    Gray PNG files of 8 bits, as which label maps are published, are decoded by OpenCV, which is faster than Pillow and
    gives the same. It gives colors where a palette's indices are meant, so that other files are left to mmcv.

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
