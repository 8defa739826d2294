"""What a dataset of objects is, before and after its annotations are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from PIL import Image

from convnext_dense.datasets.images.image_faults import read_pixels
from convnext_dense.datasets.images.orientation import SIDEWAYS, orientation
from convnext_dense.regular_files import refuse_special


@dataclass(frozen=True)
class Source:
    """An image, the file of its annotations (None if it has no objects), and the map of its objects if there is one."""

    image: Path
    annotations: Path | None
    object_map: Path | None = None

    @property
    def annotation_file(self) -> Path:
        """The file of its annotations.

        Raises:
            ValueError: If there is none.
        """
        if self.annotations is None:
            raise ValueError('it has no annotations.')
        return self.annotations

    @property
    def files(self) -> list[Path]:
        """The files that say what is in the image."""
        given = [path for path in (self.annotations, self.object_map) if path]
        listed = [file for path in given for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
        return [file for file in listed if not file.is_dir()]


@dataclass(frozen=True)
class Object:
    """An object in an image.

    Args:
        name: The name of its class.
        box: x, y, width and height, in pixels.
        segmentation: Its polygons or RLE, as in COCO's form; None if it has a box alone.
        is_ignored: Whether it is neither learned nor counted, as VOC's difficult objects.
    """

    name: str
    box: tuple[float, float, float, float]
    segmentation: list[list[float]] | dict | None = None
    is_ignored: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """An image's size in pixels, its objects, and sentences on what of its annotations cannot be read."""

    width: int
    height: int
    objects: Sequence[Object] = ()
    faults: Sequence[str] = ()


@dataclass(frozen=True)
class ObjectDataset:
    """A dataset of objects that was recognized, and is not read yet.

    Args:
        format: What it was recognized as.
        splits: The images of each split; '' if their names do not say which.
        read: Reads the annotations of an image. It raises ValueError or OSError if there is nothing to read.
        classes: The names of its classes; None for those that its objects have.
        settings: What else is in files, and changes what is read.
        remarks: Sentences on what was chosen or left out, and why.
    """

    format: str
    splits: Mapping[str, Sequence[Source]]
    read: Callable[[Source], AnnotatedImage]
    classes: Sequence[str] | None = None
    settings: object = None
    remarks: Sequence[str] = field(default_factory=list)


def image_size(path: Path) -> tuple[int, int]:
    """Return the width and height of an upright image in pixels.

    Raises:
        ValueError: If it is no image that can be read.

    Example:
        >>> image_size(Path('setup.cfg'))
        Traceback (most recent call last):
        ...
        ValueError: the image setup.cfg cannot be read.
    """
    try:
        refuse_special(path)
        with Image.open(path) as image:
            width, height = image.size
    except Exception:  # noqa: BLE001 - decoders raise anything
        pixels = read_pixels(path, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError(f'the image {path} cannot be read.') from None
        height, width = pixels.shape[:2]
    return (height, width) if orientation(str(path)) in SIDEWAYS else (width, height)


def polygon_box(polygons: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Return the box around polygons: x, y, width and height.

    Args:
        polygons: Each as x1, y1, x2, y2, ...

    Example:
        >>> polygon_box([[1, 2, 5, 2, 5, 9]])
        (1, 2, 4, 7)
    """
    xs = [x for polygon in polygons for x in polygon[::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
