"""Results out of what a graph returns."""

from dataclasses import replace

import numpy as np

from convnext_dense.results.masks import CroppedMask, CroppedMasks
from convnext_dense.results.result import Result
from convnext_dense.runtime.description import Description
from convnext_dense.runtime.preparing import Prepared


def detections(result: Result, outputs: dict[str, np.ndarray], prepared: Prepared, description: Description) -> Result:
    """Return a result with the objects that a graph found.

    Args:
        result: The image's, without objects.
        outputs: What the graph returns for one image.
        prepared: The image as the graph was fed it.
        description: What the file says of itself.
    """
    found = outputs['labels'][0] >= 0
    boxes = outputs['boxes'][0][found].astype(np.float32) / np.array(prepared.scale * 2, np.float32)
    masks = None
    if 'masks' in outputs:
        threshold = description.mask_threshold or 0.5
        parts = outputs['masks'][0][found]
        if description.masks == 'boxes':
            pasted = [paste(mask, box, result.size, threshold) for mask, box in zip(parts, boxes, strict=True)]
            masks = CroppedMasks(result.size, pasted)
        else:
            masks = _resize(parts, prepared, result.size)
    labels = outputs['labels'][0][found].astype(np.int64)
    scores = outputs['scores'][0][found].astype(np.float32)
    return replace(result, boxes=boxes, labels=labels, scores=scores, masks=masks)


def label_map(result: Result, outputs: dict[str, np.ndarray], description: Description) -> Result:
    """Return a result with the class of each pixel.

    Args:
        result: The image's, without a map.
        outputs: What the graph returns for one image.
        description: What the file says of itself.
    """
    if description.output == 'labels':
        labels = outputs['labels'][0]
    else:
        scores = outputs['scores'][0]
        labels = scores.argmax(0) if len(scores) > 1 else scores[0] > description.mask_threshold
    height, width = result.size
    return replace(result, semantic=labels[:height, :width].astype(np.int64))


def paste(mask: np.ndarray, box: np.ndarray, size: tuple[int, int], threshold: float) -> CroppedMask:
    """Return where an object is, of its mask within its box, by bilinear interpolation as mmdet's `FCNMaskHead` does.

    Args:
        mask: Probabilities, with shape (side, side).
        box: Left, top, right and bottom in the image's pixels.
        size: The image's height and width.
        threshold: From which probability on a pixel is the object's.

    Example:
        >>> part = paste(np.ones((2, 2), np.float32), np.array([1.0, 1, 3, 3]), (6, 6), 0.5)
        >>> part.left, part.top, part.pixels.tolist()
        (1, 1, [[True, True], [True, True]])
    """
    left, top = (max(int(np.floor(value)) - 1, 0) for value in box[:2])
    right, bottom = (min(int(np.ceil(box[2 + i])) + 1, size[1 - i]) for i in range(2))
    if right <= left or bottom <= top or box[2] <= box[0] or box[3] <= box[1]:
        return CroppedMask(0, 0, np.zeros((0, 0), bool))
    across = _weights(left, right, box[0], box[2], mask.shape[1])
    down = _weights(top, bottom, box[1], box[3], mask.shape[0])
    pixels = down @ mask.astype(np.float32) @ across.T >= threshold
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(rows):
        return CroppedMask(0, 0, np.zeros((0, 0), bool))
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return CroppedMask(left + int(columns[0]), top + int(rows[0]), part.copy())


def _weights(start: int, end: int, low: float, high: float, side: int) -> np.ndarray:
    """Return how much of each of a mask's rows or columns is in each pixel, with shape (end - start, side)."""
    places = (np.arange(start, end, dtype=np.float32) + np.float32(0.5) - low) / (high - low) * side - 0.5
    return np.clip(1 - np.abs(places[:, None] - np.arange(side)), 0, None).astype(np.float32)


def _resize(masks: np.ndarray, prepared: Prepared, size: tuple[int, int]) -> np.ndarray:
    """Return masks of the input's pixels in the image's."""
    height, width = prepared.size
    rows = np.minimum(((np.arange(size[0]) + 0.5) * height / size[0]).astype(int), height - 1)
    columns = np.minimum(((np.arange(size[1]) + 0.5) * width / size[1]).astype(int), width - 1)
    return masks[:, rows][:, :, columns].astype(bool)
