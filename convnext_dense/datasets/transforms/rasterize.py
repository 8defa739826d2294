"""Draws the masks of objects within their boxes, as pycocotools draws them in the image."""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from convnext_dense.datasets.transforms.crops import Crops, draw_runs

# The compressed form has five bits a character, from this one on; a sixth says that the number goes on.
FIRST_CHARACTER, BITS, GOES_ON, NEGATIVE = 48, 5, 32, 16


def rasterize(masks: Sequence[list | dict], height: int, width: int) -> Crops | None:
    """Draw masks of COCO's form.

    Args:
        masks: Each a list of polygons, or run lengths, compressed or not.
        height: The image's height in pixels.
        width: Its width.

    Returns:
        The masks; None if one is not of this size, or its run lengths are not of COCO's form.

    Example:
        >>> crops = rasterize([[[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]]], 4, 5)
        >>> crops.boxes.tolist(), crops.pixels.tolist()
        ([[1, 1, 3, 3]], [1, 1, 1, 1])
    """
    encoded = _encode(masks, height, width)
    if any(list(mask['size']) != [height, width] for mask in encoded):
        return None
    lengths = _run_lengths([mask['counts'] for mask in encoded])
    if lengths is None:
        return None
    first, end = [], []
    for run_lengths in lengths:
        borders = np.cumsum(run_lengths)
        if run_lengths.min() < 0 or borders[-1] != height * width:
            return None
        # 0s and 1s in turn; what begins an image may have no 0s, and other runs may be empty if a person wrote them.
        ones = run_lengths[1::2] > 0
        first.append(borders[: len(ones) * 2 : 2][ones])
        end.append(borders[1::2][ones])
    return draw_runs(first, end, height)


def _encode(masks: Sequence[list | dict], height: int, width: int) -> list:
    """Return masks as compressed run lengths, as mmdet makes them of an annotation."""
    polygons = [polygon for mask in masks if isinstance(mask, list) for polygon in mask]
    drawn = iter(coco_mask.frPyObjects(polygons, height, width) if polygons else ())
    encoded = []
    for mask in masks:
        if isinstance(mask, list):
            parts = [next(drawn) for _ in mask]
            mask = parts[0] if len(parts) == 1 else coco_mask.merge(parts)
        elif isinstance(mask['counts'], list):
            mask = coco_mask.frPyObjects(mask, height, width)  # pyrefly: ignore[no-matching-overload]
        encoded.append(mask)
    return encoded


def _run_lengths(compressed: Sequence[str | bytes]) -> list[np.ndarray] | None:
    """Return the run lengths of each object; None if they are not of COCO's form."""
    parts = [text.encode() if isinstance(text, str) else text for text in compressed]
    codes = np.frombuffer(b''.join(parts), np.uint8).astype(np.int64) - FIRST_CHARACTER
    if not all(parts) or not len(codes) or codes.min() < 0 or codes.max() >= 2 * GOES_ON:
        return None if parts else []
    ends = np.flatnonzero(codes < GOES_ON)
    objects = np.cumsum([len(part) for part in parts])
    numbers = np.searchsorted(ends, objects)
    if (codes[objects - 1] >= GOES_ON).any():
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    digits = ends - starts + 1
    shifts = BITS * (np.arange(len(codes)) - np.repeat(starts, digits))
    values = np.add.reduceat((codes & (GOES_ON - 1)) << shifts, starts)
    values -= ((codes[ends] & NEGATIVE) > 0).astype(np.int64) << (BITS * digits)
    lengths = np.split(values, numbers[:-1])
    for run_lengths in lengths:
        # From the fourth number on they are differences to the number before the last.
        run_lengths[1::2] = np.cumsum(run_lengths[1::2])
        run_lengths[2::2] = np.cumsum(run_lengths[2::2])
    return lengths
