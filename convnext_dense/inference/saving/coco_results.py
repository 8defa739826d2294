"""Saves objects in a JSON file of COCO's form, as they are found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convnext_dense.inference.saving.json_lists import JsonLists
from convnext_dense.results.masks import cropped, encode
from convnext_dense.results.result import Result


class CocoResults:
    """Writes objects into a JSON file of COCO's form: `images`, `categories`, and `annotations` with a `score` each.

    Each is written when it is added, so that memory stays flat. Categories count from 1 in the order of the classes.

    Args:
        path: The file.
        classes: The names of the classes.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        self.lists = JsonLists(path, ['annotations', 'images'], categories=categories)

    def add(self, result: Result, name: str) -> None:
        """Write the objects of an image.

        Args:
            result: The result.
            name: The image's name.
        """
        height, width = result.size
        counts = self.lists.counts
        image = dict(id=counts['images'] + 1, file_name=name, width=width, height=height)
        if result.image.video:
            image['frame_id'] = result.image.frame
        self.lists.add('images', image)
        for i in range(len(result)):
            annotation = dict(id=counts['annotations'] + 1, image_id=image['id'], **_annotation(result, i))
            self.lists.add('annotations', annotation)

    def close(self) -> None:
        """End the file."""
        self.lists.close()


def _annotation(result: Result, i: int) -> dict[str, Any]:
    left, top, right, bottom = result.box(i)
    width, height = right - left, bottom - top
    annotation = dict(
        category_id=int(result.labels[i]) + 1,
        bbox=[left, top, width, height],
        area=width * height,
        score=_shortest(result.scores[i]),
        iscrowd=0,
    )
    if result.ids is not None and result.ids[i] >= 0:
        annotation['track_id'] = int(result.ids[i])
    if result.masks is not None:
        part = cropped(result.masks, i)
        annotation |= dict(segmentation=encode(part, result.size), area=int(part.pixels.sum()))
    return annotation


def _shortest(value: np.floating) -> float:
    """Return the number with the fewest digits that is this one in its own precision."""
    return float(str(value))
