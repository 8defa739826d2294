"""Run lengths of masks, made of the masks' parts within their boxes."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from convnext_dense.datasets.transforms.rasterize import BITS, FIRST_CHARACTER, GOES_ON

# The least numbers, and the complements of negative ones, that take one more character.
LONGER = 2 ** np.arange(BITS - 1, 60, BITS)


@dataclass(frozen=True)
class Columns:
    """Masks within their boxes, column by column, with a 0 after each column and before the first.

    Args:
        pixels: The 0s and 1s, bool.
        boxes: Left, top, right and bottom of each box in pixels, right and bottom excluded, (masks, 4).
        starts: Where each box begins in `pixels`, (masks,).

    Example:
        >>> columns = Columns.empty(np.array([[3, 1, 4, 3]]))
        >>> columns.part(0)[:] = True
        >>> columns.pixels.tolist()
        [False, True, True, False]
    """

    pixels: np.ndarray
    boxes: np.ndarray
    starts: np.ndarray

    @classmethod
    def empty(cls, boxes: np.ndarray) -> 'Columns':
        """Return masks of 0s.

        Args:
            boxes: The boxes, (masks, 4). Those without a pixel may have any borders.
        """
        widths, heights = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).T
        sizes = widths * (heights + 1)
        ends = 1 + np.cumsum(sizes)
        return cls(np.zeros(1 + int(sizes.sum()), bool), boxes, ends - sizes)

    def part(self, index: int) -> np.ndarray:
        """Return a mask within its box, (width, height), as a view."""
        left, top, right, bottom = self.boxes[index].tolist()
        width, height = max(right - left, 0), max(bottom - top, 0)
        start = int(self.starts[index])
        return self.pixels[start : start + width * (height + 1)].reshape(width, height + 1)[:, :height]

    def images(self, height: int, width: int) -> np.ndarray:
        """Return the masks in their images, (masks, height, width), bool."""
        images = np.zeros((len(self.boxes), height, width), bool)
        for i, (left, top, right, bottom) in enumerate(self.boxes.tolist()):
            if right > left and bottom > top:
                images[i, top:bottom, left:right] = self.part(i).T
        return images

    def encode(self, height: int, width: int) -> list[dict]:
        """Return the masks as pycocotools encodes them in their images.

        Args:
            height: The images' height in pixels.
            width: Their width.
        """
        changes = np.flatnonzero(self.pixels[1:] != self.pixels[:-1]) + 1
        start, end = changes[::2], changes[1::2]
        mask = np.searchsorted(self.starts, start, 'right') - 1
        left, top, _, bottom = self.boxes[mask].T
        column, row = np.divmod(start - self.starts[mask], bottom - top + 1)
        first = (left + column) * height + top + row
        last = first + end - start
        # A run that ends at an image's bottom may go on in the next column.
        goes_on = (mask[1:] == mask[:-1]) & (first[1:] == last[:-1])
        begins, ends = np.append(True, ~goes_on)[: len(mask)], np.append(~goes_on, True)[: len(mask)]
        counts = np.bincount(mask[begins], minlength=len(self.boxes))
        texts = _compress(first[begins], last[ends], counts, height * width)
        return [dict(size=[height, width], counts=text) for text in texts]


def columns_of(masks: np.ndarray) -> Columns:
    """Return masks within their tight boxes.

    Args:
        masks: The masks, (masks, height, width), bool.

    Example:
        >>> columns_of(np.eye(3, dtype=bool)[None]).boxes.tolist()
        [[0, 0, 3, 3]]
    """
    boxes = np.zeros((len(masks), 4), np.int64)
    for mask, box in zip(masks, boxes, strict=True):
        rows = np.flatnonzero(mask.any(1))
        if len(rows):
            across = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(0))
            box[:] = across[0], rows[0], across[-1] + 1, rows[-1] + 1
    columns = Columns.empty(boxes)
    for i, (left, top, right, bottom) in enumerate(boxes.tolist()):
        columns.part(i)[:] = masks[i, top:bottom, left:right].T
    return columns


def _compress(first: np.ndarray, last: np.ndarray, runs: np.ndarray, pixels: int) -> list[bytes]:
    """Return the run lengths of each mask in COCO's compressed form.

    Args:
        first: Where runs of 1s begin in their images, (runs,).
        last: Where they end, the last pixel excluded, (runs,).
        runs: How many runs each mask has, (masks,).
        pixels: How many pixels an image has.
    """
    # Of each mask: 0, the borders of its runs, and the number of pixels.
    ends = np.cumsum(2 * runs + 2)
    begins = ends - (2 * runs + 2)
    borders = np.zeros(int(ends[-1]) if len(ends) else 0, np.int64)
    inner = np.ones(len(borders), bool)
    inner[begins] = inner[ends - 1] = False
    borders[inner] = np.stack([first, last], 1).ravel()
    borders[ends - 1] = pixels
    lengths = np.diff(borders, append=0)
    # The last number of a mask is none, and so is that of a last run of no 0s.
    kept = np.ones(len(borders), bool)
    kept[ends - 1] = False
    to_the_end = ends[runs > 0] - 2
    kept[to_the_end] = lengths[to_the_end] > 0
    place = np.arange(len(borders)) - np.repeat(begins, 2 * runs + 2)
    values = lengths.copy()
    # From the fourth number on they are differences to the number before the last.
    late = np.flatnonzero(place > 2)
    values[late] -= lengths[late - 2]
    values, place = values[kept], place[kept]
    digits = 1 + np.searchsorted(LONGER, np.where(values < 0, ~values, values), 'right')
    stops = np.cumsum(digits)
    text = np.empty(int(stops[-1]) if len(stops) else 0, np.uint8)
    for digit in range(int(digits.max(initial=0))):
        some = np.flatnonzero(digits > digit)
        code = (values[some] >> (BITS * digit)) & (GOES_ON - 1)
        code[digits[some] > digit + 1] |= GOES_ON
        text[stops[some] - digits[some] + digit] = code + FIRST_CHARACTER
    data = text.tobytes()
    at = [*(stops - digits)[place == 0].tolist(), len(data)]
    return [data[begin:end] for begin, end in pairwise(at)]
