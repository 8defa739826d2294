"""What a model predicts on an image."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.structures import BaseDataElement
from PIL import Image

from convnext_dense.datasets.images.picture import picture
from convnext_dense.errors import UsageError
from convnext_dense.inference.inputs import ImageInput
from convnext_dense.visualization.drawing import Drawing
from convnext_dense.visualization.fed_image import FedImage, FedObject

if TYPE_CHECKING:
    from supervision import Detections

# The longer side in pixels of a drawn image: small ones are enlarged.
SMALLEST, LARGEST = 768, 1280


@dataclass(frozen=True)
class Result:
    """What a model predicts on an image, on the CPU.

    Args:
        image: The image.
        size: Its height and width in pixels.
        classes: The names of the model's classes.
        colors: A color for each class, as RGB.
        boxes: Left, top, right and bottom in pixels, with shape (n, 4); None if the model finds no objects.
        labels: The class of each object, with shape (n,).
        scores: The score of each object, with shape (n,), in falling order.
        masks: Where each object is, with shape (n, height, width), if the model finds masks.
        semantic: The class of each pixel, with shape (height, width), if the model segments.
    """

    image: ImageInput
    size: tuple[int, int]
    classes: Sequence[str]
    colors: Sequence[tuple[int, ...]] = field(repr=False)
    boxes: np.ndarray | None = None
    labels: np.ndarray | None = None
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None
    semantic: np.ndarray | None = None

    def __len__(self) -> int:
        return 0 if self.boxes is None else len(self.boxes)

    @property
    def names(self) -> list[str]:
        """The name of each object's class."""
        return [] if self.labels is None else [self.classes[label] for label in self.labels]

    def at_least(self, score: float, classes: Sequence[str] | None = None) -> 'Result':
        """Return the objects of a score and of classes. Label maps stay as they are.

        Args:
            score: The least score.
            classes: The classes' names. Defaults to all.

        Raises:
            UsageError: If a class is none of the model's.
        """
        unknown = [name for name in classes or () if name not in self.classes]
        if unknown:
            raise UsageError(f'classes: {unknown[0]!r} is none of the model, whose classes are {_few(self.classes)}.')
        if self.boxes is None:
            return self
        kept = self.scores >= score
        if classes:
            kept &= np.isin(self.labels, [self.classes.index(name) for name in classes])
        masks = None if self.masks is None else self.masks[kept]
        return replace(self, boxes=self.boxes[kept], labels=self.labels[kept], scores=self.scores[kept], masks=masks)

    def pixels(self) -> np.ndarray:
        """Return the image as RGB of 8 bits, with shape (height, width, 3)."""
        if self.image.pixels is not None:
            return np.ascontiguousarray(self.image.pixels[..., ::-1])
        with open(self.image.path, 'rb') as file:
            return picture(file.read(), self.size)

    def plot(self) -> Image.Image:
        """Return the image with what is predicted drawn over it. Small images are enlarged."""
        objects = []
        if self.boxes is not None:
            objects = [
                FedObject(
                    tuple(self.boxes[i].tolist()),
                    int(self.labels[i]),
                    None if self.masks is None else self.masks[i],
                    note=f'{self.scores[i]:.2f}',
                )
                for i in range(len(self))
            ]
        side = min(max(*self.size, SMALLEST), LARGEST)
        label_map = None if self.semantic is None else self.semantic.astype(np.int64)
        drawn = FedImage(self.image.name, self.pixels(), objects, label_map)
        return Drawing(self.classes, self.colors).draw(drawn, side)

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
            mask=self.masks,
            confidence=self.scores,
            class_id=self.labels,
            data={'class_name': np.array(self.names)},
        )


def result_of(
    sample: BaseDataElement, image: ImageInput, classes: Sequence[str], colors: Sequence[tuple[int, ...]]
) -> Result:
    """Return the result that a data sample holds.

    Args:
        sample: mmdet's or mmseg's data sample of a test.
        image: The image that it is of.
        classes: The names of the model's classes.
        colors: A color for each class.
    """
    parts: dict[str, Any] = {}
    if (found := sample.get('pred_instances')) is not None:
        boxes = found.bboxes
        parts['boxes'] = getattr(boxes, 'tensor', boxes).cpu().numpy()
        parts['labels'], parts['scores'] = found.labels.cpu().numpy(), found.scores.cpu().numpy()
        if 'masks' in found:
            parts['masks'] = np.asarray(found.masks.cpu() if hasattr(found.masks, 'cpu') else found.masks, bool)
    if (found := sample.get('pred_sem_seg')) is not None:
        values = found.get('data', found.get('sem_seg'))
        parts['semantic'] = values.cpu().numpy().reshape(values.shape[-2:])
    return Result(image, tuple(sample.ori_shape[:2]), classes, colors, **parts)


def _few(names: Sequence[str]) -> str:
    return ', '.join(names[:10]) + (f' and {len(names) - 10} others' if len(names) > 10 else '')
