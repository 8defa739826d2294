"""Saves label maps and panoptic maps as PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.inference.saving.json_lists import JsonLists
from convnext_dense.results.result import INSTANCE_OFFSET

MOST_COLORS = 256
BLACK = (0, 0, 0)


def save_label_map(
    semantic: np.ndarray, path: Path, colors: Sequence[tuple[int, ...]], counts_from_1: bool = False
) -> None:
    """Save a label map as a PNG, whose values are the numbers of classes, and whose palette shows their colors.

    Args:
        semantic: The class of each pixel, with shape (height, width).
        path: The file.
        colors: A color for each class, as RGB.
        counts_from_1: Whether the first class is 1, as in a dataset whose zero is no class.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> save_label_map(np.array([[0, 1]]), stream, [(255, 0, 0), (0, 0, 255)])
        >>> image = Image.open(stream)
        >>> np.asarray(image).tolist(), image.convert('RGB').getpixel((1, 0))
        ([[0, 1]], (0, 0, 255))
    """
    values = semantic + int(counts_from_1)
    palette = [BLACK, *colors] if counts_from_1 else list(colors)
    if values.max(initial=0) >= MOST_COLORS or len(palette) > MOST_COLORS:
        # Such a PNG has no palette.
        Image.fromarray(values.astype(np.uint16)).save(path, 'PNG')
        return
    image = Image.fromarray(values.astype(np.uint8))
    image.putpalette([part for color in palette for part in color])
    image.save(path, 'PNG')


class PanopticResults:
    """Writes panoptic maps in COCO's form: a PNG whose colors are numbers, and what each number is in a JSON file.

    Args:
        path: The JSON file.
        classes: The names of the classes.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self.classes = classes
        categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        self.lists = JsonLists(path, ['annotations', 'images'], categories=categories)

    def add(self, panoptic: np.ndarray, name: str, map_name: str, path: Path) -> None:
        """Save an image's map.

        Args:
            panoptic: The segment of each pixel, as `Result.panoptic` is.
            name: The image's name.
            map_name: The map's name.
            path: The map's file.
        """
        number, (height, width) = self.lists.counts['images'] + 1, panoptic.shape
        segments = []
        ids = np.zeros(panoptic.shape, np.uint32)
        found, places = np.unique(panoptic, return_inverse=True)
        places = places.reshape(panoptic.shape)
        for i, segment in enumerate(found.tolist()):
            label = segment % INSTANCE_OFFSET
            if label >= len(self.classes):
                continue
            where = places == i
            rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
            left, top = int(columns[0]), int(rows[0])
            box = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
            ids[where] = i + 1
            area = int(where.sum())
            segments.append(dict(id=i + 1, category_id=label + 1, area=area, bbox=box, iscrowd=0))
        colors = np.dstack([ids % 256, ids // 256 % 256, ids // 65536]).astype(np.uint8)
        Image.fromarray(colors).save(path, 'PNG')
        self.lists.add('images', dict(id=number, file_name=name, width=width, height=height))
        self.lists.add('annotations', dict(image_id=number, file_name=map_name, segments_info=segments))

    def close(self) -> None:
        """End the JSON file."""
        self.lists.close()
