"""An image as a model is fed it, with what it is to learn."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from convnext_dense.datasets.images.picture import COLORS

if TYPE_CHECKING:
    from mmengine.structures import BaseDataElement

# The label of pixels that are ignored.
IGNORED = -1


@dataclass(frozen=True)
class FedObject:
    """An object of an image.

    Args:
        box: Its left, top, right and bottom in pixels.
        label: Its class.
        mask: Where it is, with the image's shape, if it has a mask.
        is_ignored: Whether the model neither learns it nor learns that nothing is there.
        note: What is written behind the class's name, such as a score.
        place: The left and top of the mask, if it is a part of one with the image's shape.
    """

    box: tuple[float, float, float, float]
    label: int
    mask: np.ndarray | None = None
    is_ignored: bool = False
    note: str = ''
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class FedImage:
    """An image as a model is fed it.

    Args:
        file: The file that it comes from, or the first of several.
        picture: The image as RGB of 8 bits, with shape (height, width, 3).
        objects: Its objects.
        label_map: The class of each pixel, with shape (height, width), or `IGNORED`; None if it has none.
        remarks: What was done to it, in a few words each.
    """

    file: str
    picture: np.ndarray
    objects: list[FedObject] = field(default_factory=list)
    label_map: np.ndarray | None = None
    remarks: tuple[str, ...] = ()


def fed_image(
    sample: 'BaseDataElement', picture: np.ndarray, channels: int, classes: int, ignore_index: int, branch: str = ''
) -> FedImage:
    """Return an image with the targets of its data sample.

    Args:
        sample: mmdet's or mmseg's data sample, after the data preprocessor.
        picture: The image as RGB of 8 bits, with shape (height, width, 3).
        channels: How many channels the model is fed.
        classes: How many classes there are.
        ignore_index: The value of ignored pixels.
        branch: The name of the augmentation, if there are several.

    Example:
        >>> from mmdet.structures import DetDataSample
        >>> fed_image(DetDataSample(), np.zeros((32, 48, 3), np.uint8), 3, 80, 255).remarks
        ('48x32 px',)
    """
    shape = picture.shape[:2]
    objects = [
        *_objects(sample.get('gt_instances'), shape, False),
        *_objects(sample.get('ignored_instances'), shape, True),
    ]
    label_map = _label_map(sample, shape, ignore_index, classes)
    remarks = tuple(_remarks(sample, shape, channels, branch))
    return FedImage(sample.get('img_path', ''), picture, objects, label_map, remarks)


def _objects(instances: Any, shape: tuple[int, int], is_ignored: bool) -> Iterator[FedObject]:  # noqa: ANN401
    if instances is None or 'bboxes' not in instances:
        return
    boxes = instances.bboxes
    boxes = getattr(boxes, 'tensor', boxes).numpy().reshape(-1, 4)
    masks = instances.masks.to_ndarray() if 'masks' in instances else [None] * len(boxes)
    for box, label, mask in zip(boxes, instances.labels.tolist(), masks, strict=True):
        left, top, right, bottom = box.tolist()
        fitted = None if mask is None else _fit(mask.astype(bool), shape, False)
        yield FedObject((left, top, right, bottom), label, fitted, is_ignored)


def _label_map(sample: 'BaseDataElement', shape: tuple[int, int], ignored: int, classes: int) -> np.ndarray | None:
    found = sample.get('gt_sem_seg')
    if found is None:
        return None
    # mmseg's name of it, and mmdet's.
    values = found.get('data', found.get('sem_seg')).numpy().reshape(-1, *found.shape[-2:])[0].astype(np.int64)
    values[(values == ignored) | (values < 0) | (values >= classes)] = IGNORED
    return _fit(values, shape, IGNORED)


def _fit(values: np.ndarray, shape: tuple[int, int], padding: int) -> np.ndarray:
    """Return a map with an image's shape: cut, or padded, to the right and below."""
    fitted = np.full(shape, padding, values.dtype)
    part = values[: shape[0], : shape[1]]
    fitted[: part.shape[0], : part.shape[1]] = part
    return fitted


def _remarks(sample: 'BaseDataElement', shape: tuple[int, int], channels: int, branch: str) -> Iterator[str]:
    if branch:
        yield branch
    height, width = sample.get('ori_shape', shape)[:2]
    fed = f'{shape[1]}x{shape[0]} px'
    yield fed if (height, width) == shape else f'{width}x{height} to {fed}'
    if channels not in (1, COLORS):
        yield f'{COLORS if channels > COLORS else 1} of {channels} channels shown'
    if sample.get('flip'):
        yield f'flipped {sample.get("flip_direction") or "horizontal"}ly'


def resize(values: np.ndarray, size: tuple[int, int], is_smooth: bool = True) -> np.ndarray:
    """Return an image or a map in another size.

    Args:
        values: The image, or the map.
        size: The new width and height.
        is_smooth: Whether values are mixed; those of a map are not.

    Example:
        >>> resize(np.zeros((4, 4, 3), np.uint8), (16, 8)).shape
        (8, 16, 3)
    """
    if not is_smooth:
        return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)
    is_smaller = size[0] < values.shape[1]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC)
