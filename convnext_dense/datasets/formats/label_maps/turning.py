"""Turns label maps of colors, and of values that are no classes, into maps whose values are the classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convnext_dense.datasets.formats.label_maps.values import IGNORED, Color, packed, read_map


@dataclass(frozen=True)
class Turning:
    """What label maps are turned by.

    Args:
        colors: The class of each color; None if maps have values.
        values: The class of each value.
    """

    colors: Mapping[Color, int] | None = None
    values: Mapping[int, int] | None = None

    def read(self, path: Path) -> tuple[np.ndarray, str]:
        """Return a map whose values are classes, with shape (height, width), and a sentence on what is no class.

        Args:
            path: The file of a map.

        Raises:
            ValueError: If it cannot be read.
        """
        found = read_map(path, by_color=self.colors is not None)
        if self.colors is not None:
            if found.ndim == 2:
                found = np.stack([found] * 3, axis=-1)
            table = {int(packed(np.array(color))): label for color, label in self.colors.items()}
            return _look_up(packed(found), table, 'color', lambda n: f'({n >> 16}, {n >> 8 & 255}, {n & 255})')
        return _look_up(found[..., 0] if found.ndim == 3 else found, self.values or {}, 'value', str)


def _look_up(found: np.ndarray, table: Mapping[int, int], what: str, shown: object) -> tuple[np.ndarray, str]:
    present, places = np.unique(found, return_inverse=True)
    unknown = [number for number in present.tolist() if number not in table]
    labels = np.array([table.get(number, IGNORED) for number in present.tolist()], np.uint8)
    said = f'the {what} {shown(unknown[0])} is that of no class.' if unknown else ''
    return labels[places].reshape(found.shape), said
