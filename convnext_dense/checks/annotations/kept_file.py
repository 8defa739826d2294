"""A COCO annotation file of which an earlier run has kept the images and categories."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convnext_dense.datasets.annotations.coco_file import CocoFile
from convnext_dense.datasets.cache.findings import remember


@dataclass(frozen=True)
class _Kept:
    images: list[dict]
    categories: list[dict]
    rows_without_objects: list[int]


class KeptCocoFile(CocoFile):
    """A `CocoFile` that is read as late as its annotations are asked for, if it is large and was read before.

    Attributes:
        rows_without_objects: Which images have no annotations, by their places.

    Example:
        >>> bool(KeptCocoFile('no-such.json').faults)
        True
    """

    def __init__(self, path: str, kind: str = 'instances') -> None:
        self.path, self.kind = path, kind
        kept = remember('images', kind, Path(path), _Kept | None, self._read_all)
        # Of a file with faults nothing is kept.
        if kept is None:
            if not vars(self).keys() >= {'faults'}:
                self._read_all()
            return
        self.images, self.categories, self.faults = kept.images, kept.categories, []
        self.rows_without_objects = kept.rows_without_objects

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute
        if name.startswith('__') or 'annotations' in vars(self):
            raise AttributeError(f'{type(self).__name__} has no {name!r}')
        self._read_all()
        return getattr(self, name)

    def _read_all(self) -> _Kept | None:
        vars(self).update(vars(CocoFile(self.path, self.kind)))
        if self.faults:
            return None
        annotated = set(self.columns['image_id'])
        rows = [row for row, image_id in enumerate(self.image_ids) if image_id not in annotated]
        return _Kept(self.images, self.categories, rows)
