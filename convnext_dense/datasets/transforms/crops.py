"""Masks of objects within their boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Where in an image a box is, as rows and columns, and the mask's pixels there.
Part = tuple[tuple[slice, slice], np.ndarray]


@dataclass(frozen=True)
class Crops:
    """Masks of objects within their boxes.

    Args:
        pixels: The 0s and 1s of the boxes, each column by column, (pixels,), uint8.
        boxes: Left, top, right and bottom of each box in pixels, right and bottom excluded, (objects, 4).
        starts: Where each box begins in `pixels`, (objects,).

    Example:
        >>> crops = Crops(np.array([0, 1], np.uint8), np.array([[3, 1, 4, 3]]), np.array([0]))
        >>> crops.parts(rows=np.arange(5), columns=np.arange(5)[::-1])
        [((slice(1, 3, None), slice(1, 2, None)), array([[0],
               [1]], dtype=uint8))]
    """

    pixels: np.ndarray
    boxes: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def choose(self, objects: np.ndarray) -> 'Crops':
        """Return the masks of some objects, which are given by their numbers."""
        return Crops(self.pixels, self.boxes[objects], self.starts[objects])

    def parts(self, rows: np.ndarray, columns: np.ndarray) -> list[Part]:
        """Return where each mask's box is in an image, and the mask's pixels there.

        Args:
            rows: For each row of the image, that in which the masks were drawn, (height,).
            columns: Likewise, (width,).
        """
        parts = []
        for (left, top, right, bottom), start in zip(self.boxes.tolist(), self.starts.tolist(), strict=True):
            width, height = right - left, bottom - top
            crop = self.pixels[start : start + width * height].reshape(width, height)
            down, across = _inside(rows, top, bottom), _inside(columns, left, right)
            parts.append(((down, across), crop[columns[across] - left].T[rows[down] - top]))
        return parts

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels as bits, without those of objects that were left out; and the boxes."""
        ends = self.starts + _sizes(self.boxes)
        parts = [self.pixels[start:end] for start, end in zip(self.starts, ends, strict=True)]
        return np.packbits(np.concatenate(parts)) if parts else np.empty(0, np.uint8), self.boxes.astype(np.int32)

    @classmethod
    def unpacked(cls, bits: np.ndarray, boxes: np.ndarray) -> 'Crops':
        """Return what was packed.

        Args:
            bits: The pixels as bits.
            boxes: The boxes, (objects, 4).
        """
        boxes = boxes.astype(np.int64)
        sizes = _sizes(boxes)
        return cls(np.unpackbits(bits, count=int(sizes.sum())), boxes, np.cumsum(sizes) - sizes)


def draw_runs(first: Sequence[np.ndarray], end: Sequence[np.ndarray], height: int) -> Crops:
    """Draw runs of 1s.

    Args:
        first: Where each object's runs begin in an image that is read column by column, (runs,).
        end: Where they end, the last pixel excluded, (runs,).
        height: The image's height in pixels.

    Example:
        >>> crops = draw_runs([np.array([6, 11])], [np.array([8, 12])], height=5)
        >>> crops.boxes.tolist(), crops.pixels.tolist()
        ([[1, 1, 3, 3]], [1, 1, 1, 0])
    """
    counts = np.array([len(runs) for runs in first], np.int64)
    starts, ends = (np.concatenate([*runs, np.empty(0, np.int64)]) for runs in (first, end))
    left, top = np.divmod(starts, height)
    right, bottom = np.divmod(ends - 1, height)
    # What goes on in the next column covers every row of its box.
    goes_on = left != right
    boxes = np.zeros((len(counts), 4), np.int64)
    drawn = counts > 0
    if drawn.any():
        runs = (np.cumsum(counts) - counts)[drawn]
        boxes[drawn, 0] = left[runs]
        boxes[drawn, 1] = np.minimum.reduceat(np.where(goes_on, 0, top), runs)
        boxes[drawn, 2] = np.maximum.reduceat(right, runs) + 1
        boxes[drawn, 3] = np.maximum.reduceat(np.where(goes_on, height - 1, bottom), runs) + 1
    heights = boxes[:, 3] - boxes[:, 1]
    sizes = _sizes(boxes)
    places = np.cumsum(sizes) - sizes
    # For each run: its box's height, and the place of row 0 and column 0 if the box went so far.
    tall, origin = (np.repeat(values, counts) for values in (heights, places - boxes[:, 0] * heights - boxes[:, 1]))
    steps = np.zeros(int(sizes.sum()) + 1, np.int8)
    steps[origin + left * tall + top] += 1
    steps[origin + right * tall + bottom + 1] -= 1
    return Crops(np.cumsum(steps[:-1], dtype=np.int8).view(np.uint8), boxes, places)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _inside(places: np.ndarray, first: int, end: int) -> slice:
    """Return where a map is in a range. It is one range, for a map goes either up or down."""
    found = np.flatnonzero((places >= first) & (places < end))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
