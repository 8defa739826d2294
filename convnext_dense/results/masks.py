"""Masks of objects, each kept within the box that it fills: those of a large image would not fit into memory else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CroppedMask:
    """A mask, as the part of it that has pixels.

    Args:
        left: The part's left edge in the image.
        top: Its top edge.
        pixels: Where the object is, with shape (height, width) of the part.
    """

    left: int
    top: int
    pixels: np.ndarray

    def whole(self, size: tuple[int, int]) -> np.ndarray:
        """Return the mask with an image's shape.

        Args:
            size: The image's height and width.
        """
        mask = np.zeros(size, bool)
        height, width = self.pixels.shape
        mask[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return mask

    def moved(self, right: int, down: int) -> 'CroppedMask':
        """Return the mask at another place.

        Args:
            right: How many pixels further right.
            down: How many pixels further down.
        """
        return CroppedMask(self.left + right, self.top + down, self.pixels)


class CroppedMasks(Sequence):
    """The masks of an image's objects, which take the memory of their boxes alone.

    ``masks[i]`` is one with the image's shape, and ``np.asarray(masks)`` holds all of them.

    Args:
        size: The image's height and width.
        parts: The masks.

    Example:
        >>> masks = CroppedMasks((4, 6), [crop(np.eye(4, 6, dtype=bool))])
        >>> masks[0].shape, masks.parts[0].pixels.shape, np.asarray(masks).shape
        ((4, 6), (4, 4), (1, 4, 6))
    """

    def __init__(self, size: tuple[int, int], parts: Sequence[CroppedMask]) -> None:
        self.size, self.parts = size, list(parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> np.ndarray:  # pyrefly: ignore[bad-override]
        return self.parts[index].whole(self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (part.whole(self.size) for part in self.parts)

    def __array__(self, dtype: type | None = None, copy: bool | None = None) -> np.ndarray:
        masks = np.zeros((len(self), *self.size), bool)
        for i, mask in enumerate(self):
            masks[i] = mask
        return masks if dtype is None else masks.astype(dtype)


def crop(mask: np.ndarray) -> CroppedMask:
    """Return the part of a mask that has pixels.

    Args:
        mask: The mask, with shape (height, width).

    Example:
        >>> part = crop(np.array([[False, False], [False, True]]))
        >>> part.left, part.top, part.pixels.shape
        (1, 1, (1, 1))
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return CroppedMask(0, 0, np.zeros((0, 0), bool))
    top, left = int(rows[0]), int(columns[0])
    return CroppedMask(left, top, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def choose(masks: np.ndarray | CroppedMasks, kept: np.ndarray) -> np.ndarray | CroppedMasks:
    """Return some of the masks, of the kind that they are.

    Args:
        masks: The masks.
        kept: Whether each is kept, or the numbers of those that are.
    """
    if isinstance(masks, np.ndarray):
        return masks[kept]
    return CroppedMasks(masks.size, [masks.parts[i] for i in np.arange(len(masks))[kept]])


def cropped(masks: np.ndarray | CroppedMasks, index: int) -> CroppedMask:
    """Return one of the masks, cropped.

    Args:
        masks: The masks.
        index: Its number.
    """
    return crop(masks[index]) if isinstance(masks, np.ndarray) else masks.parts[index]


def encode(part: CroppedMask, size: tuple[int, int]) -> dict:
    """Return COCO's run-length encoding of a mask, as JSON holds it.

    Args:
        part: The mask.
        size: The image's height and width.

    Example:
        >>> from pycocotools import mask as coco_mask
        >>> rle = encode(crop(np.eye(3, 5, dtype=bool)), (3, 5))
        >>> rle['size'], coco_mask.decode(rle).tolist()
        ([3, 5], [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]])
    """
    height, width = size
    # COCO counts down the columns; those left and right of the part are one run each.
    columns = np.zeros((part.pixels.shape[1], height), np.int8)
    columns[:, part.top : part.top + part.pixels.shape[0]] = part.pixels.T
    ends = np.flatnonzero(np.diff(columns.ravel(), prepend=0, append=0)) + part.left * height
    counts = np.diff(ends, prepend=0, append=height * width)
    return dict(size=[height, width], counts=_compress(counts if counts[-1] else counts[:-1]))


def _compress(counts: np.ndarray) -> str:
    """Return the lengths of runs as COCO writes them: 5 bits a character, the lowest first."""
    rest = counts.astype(np.int64)
    # From the fourth on, by how much a run is longer than the last one of its kind.
    rest[3:] -= counts[1:-2]
    characters, is_open = [], np.ones(len(rest), bool)
    while is_open.any():
        bits, rest = rest & 31, rest >> 5
        # The highest of the last bits is the sign.
        goes_on = np.where(bits & 16, rest != -1, rest != 0)
        characters.append(np.where(is_open, bits + 32 * goes_on + 48, 0))
        is_open = is_open & goes_on
    written = np.stack(characters, 1)
    return written[written > 0].astype(np.uint8).tobytes().decode()
