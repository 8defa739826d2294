"""Merges what overlapping tiles of an image show of the same objects."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convnext_dense.results.masks import CroppedMask

# Left, top, right and bottom.
Box = tuple[int, int, int, int]
# From which overlap on, within what both tiles show, two boxes of a class are one object.
SAME = 0.5
# How much of the whole object its parts have if they are all of it.
ALL = 0.8


@dataclass(frozen=True)
class Found:
    """An object that is found in a tile.

    Args:
        box: Its left, top, right and bottom in the whole image.
        label: Its class.
        score: Its score.
        mask: Where it is in the whole image, if it has a mask.
        tile: The tile's number; -1 for the whole image.
        area: The tile's place in the whole image.
        is_cut: Whether it reaches to an edge of the tile, so that a part of it may be missing.
    """

    box: tuple[float, float, float, float]
    label: int
    score: float
    mask: CroppedMask | None
    tile: int
    area: Box
    is_cut: bool


def merge(found: list[Found]) -> list[Found]:
    """Return each object once: whole, from a tile that shows all of it, or else put together from its parts.

    Two of one class are the same object if they agree where both of their tiles look. A tile shows no object twice, so
    those of a dense crowd stay apart.

    Args:
        found: What was found in all tiles.

    Example:
        >>> left = Found((80, 10, 100, 30), 0, 0.6, None, 0, (0, 0, 100, 100), True)
        >>> right = Found((80, 10, 120, 30), 0, 0.9, None, 1, (80, 0, 180, 100), True)
        >>> [(part.box, part.score) for part in merge([left, right])]
        [((80, 10, 120, 30), 0.9)]
    """
    merged: list[Found] = []
    for label in sorted({part.label for part in found}):
        merged += _merge_class([part for part in found if part.label == label])
    # The part that a tile shows of an object may look like one of another class.
    whole, cut = ([part for part in merged if part.is_cut is is_cut] for is_cut in (False, True))
    boxes = np.array([part.box for part in whole], float).reshape(-1, 4)
    kept = []
    for part in cut:
        # Those that it does not touch are no candidates, and in a large image nearly all.
        near = np.flatnonzero(_sizes(_clip(np.array(part.box, float), boxes)))
        if not any(_is_part(part, whole[i]) for i in near.tolist()):
            kept.append(part)
    return [*whole, *kept]


def _is_part(part: Found, other: Found) -> bool:
    if part.tile == other.tile:
        return False
    return any(agreement >= SAME for agreement, _, _ in _pairs([replace(part, is_cut=False), other]))


def _merge_class(found: list[Found]) -> list[Found]:
    group = list(range(len(found)))
    members = {i: [i] for i in group}
    for _, i, j in sorted(_pairs(found), reverse=True):
        first, second = group[i], group[j]
        tiles = [{found[k].tile for k in members[number]} for number in (first, second)]
        if first == second or tiles[0] & tiles[1]:
            continue
        members[first] += members.pop(second)
        for k in members[first]:
            group[k] = first
    return _suppress([_one([found[k] for k in numbers]) for numbers in members.values()])


def _suppress(found: list[Found]) -> list[Found]:
    """Return what is left of objects of a class if those of one tile that are between two of another count once."""
    found = sorted(found, key=lambda part: (part.is_cut, -part.score))
    boxes = np.array([part.box for part in found], float).reshape(-1, 4)
    tiles, is_kept = np.array([part.tile for part in found]), np.zeros(len(found), bool)
    for i, part in enumerate(found):
        others = boxes[is_kept & (tiles != part.tile)]
        is_kept[i] = not len(others) or _ious(boxes[i], others).max() < SAME
    return [part for part, kept in zip(found, is_kept.tolist(), strict=True) if kept]


def _pairs(found: list[Found]) -> Iterator[tuple[float, int, int]]:
    """Yield how well two agree that may be the same object, and their numbers."""
    boxes = np.array([part.box for part in found], float).reshape(-1, 4)
    areas = np.array([part.area for part in found], float).reshape(-1, 4)
    tiles, cut = np.array([part.tile for part in found]), np.array([part.is_cut for part in found], bool)
    for i in range(len(found) - 1):
        others = slice(i + 1, None)
        shared = _clip(areas[others], areas[i])
        own, their = _clip(np.repeat(boxes[i : i + 1], len(shared), 0), shared), _clip(boxes[others], shared)
        common, own_size, their_size = _sizes(_clip(own, their)), _sizes(own), _sizes(their)
        union = own_size + their_size - common
        # What is cut off, or sticks out of what both show, is a part of the other.
        smaller = np.minimum(own_size, their_size)
        whole = np.where(cut[i] | cut[others], smaller, union)
        agreement = common / np.maximum(whole, 1e-9)
        for j in np.flatnonzero((agreement >= SAME) & (tiles[others] != tiles[i])).tolist():
            yield float(agreement[j]), i, i + 1 + j


def _one(parts: list[Found]) -> Found:
    """Return one object of what tiles show of it."""
    whole = sorted((part for part in parts if not part.is_cut), key=lambda part: (part.tile >= 0, part.score))
    cut = [part for part in parts if part.is_cut]
    if whole and whole[-1].tile >= 0:
        return whole[-1]
    if not cut:
        return whole[-1]
    joined = _join(cut)
    # The reduced image shows all of it, and its parts show it finer, if there are all of them.
    return whole[-1] if whole and _covered(whole[-1].box, joined.box) < ALL else joined


def _join(parts: list[Found]) -> Found:
    boxes = np.array([part.box for part in parts])
    left, top = boxes[:, :2].min(0).tolist()
    right, bottom = boxes[:, 2:].max(0).tolist()
    masks = [part.mask for part in parts if part.mask is not None and part.mask.pixels.size]
    best = max(parts, key=lambda part: part.score)
    return replace(best, box=(left, top, right, bottom), mask=_union(masks) if masks else best.mask)


def _ious(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    common = _sizes(_clip(first, second))
    return common / np.maximum(_sizes(first) + _sizes(second) - common, 1e-9)


def _covered(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    own = np.array(box)
    return float(_sizes(_clip(own, np.array(other))) / max(_sizes(own), 1e-9))


def _union(masks: list[CroppedMask]) -> CroppedMask:
    left, top = min(mask.left for mask in masks), min(mask.top for mask in masks)
    right = max(mask.left + mask.pixels.shape[1] for mask in masks)
    bottom = max(mask.top + mask.pixels.shape[0] for mask in masks)
    pixels = np.zeros((bottom - top, right - left), bool)
    for mask in masks:
        moved = mask.moved(-left, -top)
        height, width = mask.pixels.shape
        pixels[moved.top : moved.top + height, moved.left : moved.left + width] |= mask.pixels
    return CroppedMask(left, top, pixels)


def _clip(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:])], axis=-1
    )


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
