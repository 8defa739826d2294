"""Predicts on a large image in tiles that overlap."""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.inference.tiling.merging import Box, Found, merge
from convnext_dense.results.masks import CroppedMask, CroppedMasks, cropped
from convnext_dense.results.result import Result

MOST_OVERLAP = 0.9
SMALLEST = 64


def check_tiles(tile: int | None, overlap: float) -> None:
    """Raise UsageError if an image cannot be cut into such tiles.

    Args:
        tile: The side of a tile in pixels; None for no tiles.
        overlap: Which part of it the next one shares.

    Example:
        >>> check_tiles(1024, 0.2)
    """
    if tile is not None and tile < SMALLEST:
        raise UsageError(f'tile: it must be at least {SMALLEST} pixels; got {tile}.')
    if not 0 <= overlap <= MOST_OVERLAP:
        raise UsageError(f'overlap: it must be from 0 to {MOST_OVERLAP} of a tile; got {overlap}.')


def tile_boxes(size: tuple[int, int], tile: int, overlap: float) -> list[Box]:
    """Return the left, top, right and bottom of the tiles that cover an image, in rows.

    Args:
        size: The image's height and width.
        tile: The side of a tile in pixels.
        overlap: Which part of it the next one shares, at least.

    Example:
        >>> tile_boxes((100, 150), 100, 0.2)
        [(0, 0, 100, 100), (50, 0, 150, 100)]
    """
    rows, columns = (_starts(length, tile, overlap) for length in size)
    height, width = size
    return [(x, y, min(x + tile, width), min(y + tile, height)) for y in rows for x in columns]


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where tiles begin along a side. All overlap alike, so that none is a sliver."""
    if length <= tile:
        return [0]
    step = max(int(tile * (1 - overlap)), 1)
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def predict_tiles(
    loaded: dict[str, Any],
    whole: Result,
    tile: int,
    overlap: float,
    predict: Callable[[Iterator[dict[str, Any]]], Iterator[Result]],
) -> Result:
    """Return the result of an image that is predicted on in tiles.

    A detector sees the image as a whole, too, reduced to the size of a tile: for objects larger than the overlap, of
    which no tile may have all. Of a label map, each pixel is from the tile that has it farthest from its edge.

    Args:
        loaded: The image, as `PredictPipeline.load` returns it.
        whole: A result without a prediction, for this image.
        tile: The side of a tile in pixels.
        overlap: Which part of it the next one shares, at least.
        predict: Returns the results of parts of the image, given as `loaded` is.

    Raises:
        UsageError: If the model is panoptic.
    """
    boxes = tile_boxes(whole.size, tile, overlap)
    results = zip(boxes, predict(_part(loaded, box) for box in boxes), strict=True)
    found: list[Found] = []
    semantic: np.ndarray | None = None
    is_detector = has_masks = False
    for i, (box, result) in enumerate(results):
        if result.panoptic is not None:
            raise UsageError('tile: segments of a panoptic model cannot be merged; predict without tiles.')
        if result.semantic is not None:
            semantic = np.zeros(whole.size, result.semantic.dtype) if semantic is None else semantic
            left, top, right, bottom = _nearest(box, boxes, whole.size)
            semantic[top:bottom, left:right] = result.semantic[
                top - box[1] : bottom - box[1], left - box[0] : right - box[0]
            ]
        if result.boxes is not None:
            is_detector, has_masks = True, result.masks is not None
            found += _found(result, box, i, whole.size)
    parts: dict[str, Any] = dict(semantic=semantic)
    if is_detector:
        if len(boxes) > 1:
            found += _large_objects(loaded, whole, tile, overlap, predict)
        parts |= _merged(merge(found), whole.size, has_masks)
    return Result(whole.image, whole.size, whole.classes, whole.colors, **parts)


def _part(loaded: dict[str, Any], box: Box) -> dict[str, Any]:
    left, top, right, bottom = box
    pixels = np.ascontiguousarray(loaded['img'][top:bottom, left:right])
    return {**loaded, 'img': pixels, 'img_shape': pixels.shape[:2], 'ori_shape': pixels.shape[:2]}


def _nearest(box: Box, boxes: list[Box], size: tuple[int, int]) -> Box:
    """Return the part of a tile that is farther from its edge than from those of others: to the middle of overlaps."""
    left, top, right, bottom = box
    before = [other[2] for other in boxes if other[0] < left]
    after = [other[0] for other in boxes if other[0] > left]
    above = [other[3] for other in boxes if other[1] < top]
    below = [other[1] for other in boxes if other[1] > top]
    return (
        (left + max(before)) // 2 if before else 0,
        (top + max(above)) // 2 if above else 0,
        (right + min(after)) // 2 if after else size[1],
        (bottom + min(below)) // 2 if below else size[0],
    )


def _large_objects(
    loaded: dict[str, Any],
    whole: Result,
    tile: int,
    overlap: float,
    predict: Callable[[Iterator[dict[str, Any]]], Iterator[Result]],
) -> list[Found]:
    """Return the objects of the reduced image that may be larger than what two tiles share."""
    height, width = whole.size
    scale = max(height, width) / tile
    size = max(round(width / scale), 1), max(round(height / scale), 1)
    small = {**loaded, 'img': _reduce(loaded['img'], size), 'img_shape': size[::-1], 'ori_shape': size[::-1]}
    (result,) = predict(iter([small]))
    found = _found(result, (0, 0, width, height), -1, whole.size, (width / size[0], height / size[1]))
    return [part for part in found if max(part.box[2] - part.box[0], part.box[3] - part.box[1]) > overlap * tile]


def _reduce(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # OpenCV takes four channels at most by areas.
    channels = [pixels] if pixels.ndim == 2 else np.split(pixels, range(4, pixels.shape[2], 4), axis=2)
    reduced = [cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA) for part in channels]
    if pixels.ndim == 2:
        return reduced[0]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in reduced], axis=2)


def _found(
    result: Result, box: Box, tile: int, size: tuple[int, int], scale: tuple[float, float] = (1.0, 1.0)
) -> Iterator[Found]:
    height, width = size
    edges = [(box[0], box[0] > 0), (box[1], box[1] > 0), (box[2], box[2] < width), (box[3], box[3] < height)]
    for i in range(len(result)):
        left, top, right, bottom = (factor * edge for factor, edge in zip(2 * scale, result.box(i), strict=True))
        placed = left + box[0], top + box[1], right + box[0], bottom + box[1]
        # An object that reaches to an edge with more image behind it may be cut there.
        is_cut = tile >= 0 and any(
            is_inner and abs(place - edge) < 2 for place, (edge, is_inner) in zip(placed, edges, strict=True)
        )
        mask = None if result.masks is None else _enlarge(cropped(result.masks, i), scale).moved(box[0], box[1])
        yield Found(placed, int(result.labels[i]), float(result.scores[i]), mask, tile, box, is_cut)


def _enlarge(mask: CroppedMask, scale: tuple[float, float]) -> CroppedMask:
    if scale == (1, 1) or not mask.pixels.size:
        return mask
    height, width = mask.pixels.shape
    left, top = round(mask.left * scale[0]), round(mask.top * scale[1])
    right, bottom = round((mask.left + width) * scale[0]), round((mask.top + height) * scale[1])
    size = max(right - left, 1), max(bottom - top, 1)
    smooth = cv2.resize(mask.pixels.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return CroppedMask(left, top, smooth > 0.5)


def _merged(found: list[Found], size: tuple[int, int], has_masks: bool) -> dict[str, Any]:
    found = sorted(found, key=lambda part: -part.score)
    masks = [_inside(part.mask, size) for part in found if part.mask is not None]
    return dict(
        boxes=np.array([part.box for part in found], np.float32).reshape(-1, 4),
        labels=np.array([part.label for part in found], np.int64),
        scores=np.array([part.score for part in found], np.float32),
        masks=CroppedMasks(size, masks) if has_masks else None,
    )


def _inside(mask: CroppedMask, size: tuple[int, int]) -> CroppedMask:
    """Return a mask without what rounding has put outside of the image."""
    return CroppedMask(mask.left, mask.top, mask.pixels[: max(size[0] - mask.top, 0), : max(size[1] - mask.left, 0)])
