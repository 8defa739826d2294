"""What a model predicts on an image. What draws it is imported when it is drawn: it runs where numpy alone is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.results.image_input import ImageInput
from convnext_dense.results.masks import CroppedMasks, choose, cropped
from convnext_dense.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image
    from supervision import Detections

    from convnext_dense.visualization.fed_image import FedImage, FedObject

# From which score on an object is drawn, and saved.
SCORE = 0.3
# The longer side in pixels of a drawn image: small ones are enlarged.
SMALLEST, LARGEST = 768, 1280
# What mmdet's panoptic maps multiply an object's number with, before they add its class.
INSTANCE_OFFSET = 1000


@dataclass(frozen=True, repr=False)
class Result:
    """What a model predicts on an image, on the CPU.

    Args:
        image: The image.
        size: Its height and width in pixels.
        classes: The names of the model's classes.
        colors: A color for each class, as RGB.
        boxes: Left, top, right and bottom in pixels, with shape (n, 4); None if the model finds no objects.
        labels: The class of each object, with shape (n,).
        scores: The score of each object, with shape (n,).
        masks: Where each object is, with shape (n, height, width), if the model finds masks. Those of an image in tiles
            are `CroppedMasks`, of which ``np.asarray`` makes an array.
        ids: A number for each object that stays with it in a video, with shape (n,), if it is followed by a `Tracker`;
            -1 if the object has none.
        semantic: The class of each pixel, with shape (height, width), if the model segments.
        panoptic: The segment of each pixel, with shape (height, width), if the model is panoptic: 1000 times the number
            of the object, plus its class. Where there is none, the class is the number of classes.
    """

    image: ImageInput
    size: tuple[int, int]
    classes: Sequence[str]
    colors: Sequence[tuple[int, ...]]
    boxes: np.ndarray | None = None
    labels: np.ndarray | None = None
    scores: np.ndarray | None = None
    masks: np.ndarray | CroppedMasks | None = None
    ids: np.ndarray | None = None
    semantic: np.ndarray | None = None
    panoptic: np.ndarray | None = None

    def __len__(self) -> int:
        return 0 if self.boxes is None else len(self.boxes)

    @property
    def names(self) -> list[str]:
        """The name of each object's class."""
        return [] if self.labels is None else [self.class_name(label) for label in self.labels.tolist()]

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        return self.classes[label] if 0 <= label < len(self.classes) else f'class {label}'

    def at_least(self, score: float, classes: Sequence[str] | None = None) -> 'Result':
        """Return the objects of a score and of classes. Maps stay as they are.

        Args:
            score: The least score.
            classes: The classes' names. Defaults to all.

        Raises:
            UsageError: If a class is none of the model's.
        """
        check_classes(classes, self.classes)
        if self.boxes is None or self.labels is None or self.scores is None:
            return self
        kept = self.scores >= score
        if classes:
            kept &= np.isin(self.labels, [self.classes.index(name) for name in classes])
        masks = None if self.masks is None else choose(self.masks, kept)
        ids = None if self.ids is None else self.ids[kept]
        boxes, labels, scores = self.boxes[kept], self.labels[kept], self.scores[kept]
        return replace(self, boxes=boxes, labels=labels, scores=scores, masks=masks, ids=ids)

    def pixels(self) -> np.ndarray:
        """Return the image as RGB of 8 bits, with shape (height, width, 3)."""
        if self.image.path is None:
            return np.ascontiguousarray(self.image.pixels[..., ::-1])
        from convnext_dense.datasets.images.picture import picture

        with open(self.image.path, 'rb') as file:
            return picture(file.read(), self.size)

    def shown(self, pixels: np.ndarray | None = None) -> 'FedImage':
        """Return what is drawn of it.

        Args:
            pixels: The image as `pixels` returns it, if it is there already.
        """
        from convnext_dense.visualization.fed_image import FedImage

        objects, label_map = list(self._objects()), self.semantic
        if self.panoptic is not None:
            objects, label_map = _segments(self.panoptic, len(self.classes))
        return FedImage(
            self.image.name,
            self.pixels() if pixels is None else pixels,
            objects,
            None if label_map is None else label_map.astype(np.int64),
        )

    def plot(self, score: float = SCORE) -> 'Image':
        """Return the image with what is predicted drawn over it. Small images are enlarged.

        Args:
            score: The least score of an object that is drawn.

        Raises:
            UsageError: If what draws is not installed.
        """
        try:
            from convnext_dense.visualization.drawing import Drawing
        except ModuleNotFoundError as error:
            raise UsageError(
                f'plot: {error.name} is not installed, which draws; pip install pillow matplotlib.'
            ) from error

        return Drawing(self.classes, self.colors).draw(self.at_least(score).shown(), self.drawn_side, has_legend=True)

    def __repr__(self) -> str:
        found = Counter(self.names)
        objects = ', '.join(f'{name} {count}' for name, count in found.most_common())
        parts = [f'{counted(len(self), "object")}{": " if objects else ""}{objects}'] if self.boxes is not None else []
        maps = (('semantic', self.semantic), ('panoptic', self.panoptic))
        parts += [f'a {name} map' for name, value in maps if value is not None]
        return f'Result({self.image.name}, {self.size[0]}x{self.size[1]} px, {"; ".join(parts)})'

    @property
    def drawn_side(self) -> int:
        """The longer side in pixels that it is drawn with."""
        return min(max(*self.size, SMALLEST), LARGEST)

    def to_supervision(self) -> 'Detections':
        """Return the objects as supervision's `Detections`.

        Raises:
            UsageError: If supervision is not installed, or the model finds no objects.
        """
        try:
            from supervision import Detections
        except ImportError as error:
            raise UsageError('supervision is not installed; install convnext_dense[predict].') from error
        if self.boxes is None:
            raise UsageError('to_supervision: the model segments, and finds no objects.')
        return Detections(
            xyxy=self.boxes,
            mask=None if self.masks is None else np.asarray(self.masks),
            confidence=self.scores,
            class_id=self.labels,
            tracker_id=self.ids,
            data={'class_name': np.array(self.names)},
        )

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Return an object's box. Some models give masks alone, with boxes of no size; the box is then the mask's.

        Args:
            index: The object's number.
        """
        left, top, right, bottom = self.boxes[index].tolist()
        if (right <= left or bottom <= top) and self.masks is not None:
            part = cropped(self.masks, index)
            height, width = part.pixels.shape
            return float(part.left), float(part.top), float(part.left + width), float(part.top + height)
        return left, top, right, bottom

    def _objects(self) -> Iterator['FedObject']:
        from convnext_dense.visualization.fed_image import FedObject

        for i in range(len(self)):
            number = '' if self.ids is None or self.ids[i] < 0 else f'#{self.ids[i]} '
            drawn = FedObject(self.box(i), int(self.labels[i]), note=f'{number}{self.scores[i]:.2f}')
            if self.masks is None:
                yield drawn
            else:
                part = cropped(self.masks, i)
                yield replace(drawn, mask=part.pixels, place=(part.left, part.top))


def check_classes(classes: Sequence[str] | None, known: Sequence[str]) -> None:
    """Raise UsageError if a class is none of a model's.

    Args:
        classes: The names that are asked for.
        known: The model's.
    """
    unknown = [name for name in classes or () if name not in known]
    if unknown:
        raise UsageError(f'classes: {unknown[0]!r} is none of the model, whose classes are {_few(known)}.')


def _segments(panoptic: np.ndarray, classes: int) -> tuple[list['FedObject'], np.ndarray]:
    """Return the objects of a panoptic map, and the class of its other pixels."""
    from convnext_dense.visualization.fed_image import IGNORED, FedObject

    label_map = panoptic % INSTANCE_OFFSET
    label_map = np.where(label_map < classes, label_map, IGNORED)
    objects = []
    for segment in np.unique(panoptic[panoptic >= INSTANCE_OFFSET]).tolist():
        mask = panoptic == segment
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
        objects.append(FedObject(box, segment % INSTANCE_OFFSET, mask))
    return objects, label_map


def _few(names: Sequence[str]) -> str:
    return ', '.join(names[:10]) + (f' and {len(names) - 10} others' if len(names) > 10 else '')
