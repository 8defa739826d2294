"""COCO's evaluation of records whose ids may be anything that JSON allows."""

import io
from collections.abc import Hashable, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from typing import Any, SupportsInt

import numpy as np
from mmdet.datasets.api_wrappers import COCO, COCOeval
from pycocotools import mask

from convnext_dense.errors import UsageError

try:
    from faster_coco_eval import COCOeval_faster
except ImportError:
    COCOeval_faster = None

# Untyped: the stubs' dicts have more keys than are needed.
rle: Any = mask
AREAS = ('all', 'small', 'medium', 'large')
# pycocotools reports AP at this number of detections an image, if it is one of those that it evaluates.
AP_DETECTIONS = 100
# Beyond it, pycocotools' rasterization of a polygon ends the process.
MAX_COORDINATE = 1e6


def is_faster() -> bool:
    """Return whether faster-coco-eval is installed."""
    return COCOeval_faster is not None


def number(ids: Iterable[Hashable]) -> dict[Hashable, int]:
    """Number ids from 1, in the order in which pycocotools goes through them: sorted, if they can be.

    pycocotools takes the id 0 for no match, and faster-coco-eval holds ids as doubles.

    Args:
        ids: Any ids. Those that are equal get one number.

    Example:
        >>> number([7, 2**60, 3.0, 7]), number(['b', 'a']), number([2, 'a'])
        ({3.0: 1, 7: 2, 1152921504606846976: 3}, {'a': 1, 'b': 2}, {2: 1, 'a': 2})
    """
    unique = list(dict.fromkeys(ids))
    # Numbers and strings together stay in the order of the file.
    with suppress(TypeError):
        unique = sorted(unique)  # pyrefly: ignore[bad-specialization]
    return {key: i for i, key in enumerate(unique, start=1)}


@dataclass
class Scores:
    """COCO's precision and recall, and what is made of them.

    Args:
        precision: By threshold of IoU, recall, category, area and number of detections; -1 where there is no object.
        recall: By threshold of IoU, category, area and number of detections; -1 where there is no object.
        iou_thresholds: Thresholds of IoU.
        numbers: Numbers of detections an image, ascending.
        ap_number: The number of detections at which `mAP` is taken; AP by threshold and area take the last.
    """

    precision: np.ndarray
    recall: np.ndarray
    iou_thresholds: np.ndarray
    numbers: list[int]
    ap_number: int = field(init=False)

    def __post_init__(self) -> None:
        """Take AP where pycocotools does, or at the last number of detections."""
        self.ap_number = AP_DETECTIONS if AP_DETECTIONS in self.numbers else self.numbers[-1]

    def ap(self, iou: float | None = None, area: str = 'all', number: int | None = None) -> float:
        """Return the average precision of all categories; -1 if there is no object.

        Args:
            iou: A threshold of IoU; by default the mean of all.
            area: One of `AREAS`.
            number: The number of detections an image; by default the last.
        """
        return _mean(self.precision[self._at(iou), :, :, AREAS.index(area), self._index(number)])

    def ar(self, area: str = 'all', number: int | None = None) -> float:
        """Return the average recall of all categories and thresholds; -1 if there is no object."""
        return _mean(self.recall[:, :, AREAS.index(area), self._index(number)])

    def class_aps(self, category: int) -> list[Any]:
        """Return a category's AP: of all, at 0.5 and 0.75, and small, medium and large; nan if there is no object."""
        precision = self.precision[:, :, category, :, -1]
        parts = [precision[..., 0], *(precision[self._at(iou), :, 0] for iou in (0.5, 0.75))]
        parts += [precision[..., area] for area in (1, 2, 3)]
        return [np.mean(part[part > -1]) if (part > -1).any() else float('nan') for part in parts]

    def _at(self, iou: float | None) -> np.ndarray:
        if iou is None:
            return np.arange(len(self.iou_thresholds))
        return np.flatnonzero(np.isclose(self.iou_thresholds, iou))

    def _index(self, number: int | None) -> int:
        return -1 if number is None else self.numbers.index(number)


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(np.mean(values)) if values.size else -1.0


@dataclass
class NumberedTruth:
    """Annotations under ids of their own.

    Args:
        images: The number of each image's id.
        categories: The number of each category's id.
        annotations: The annotations under these numbers.
        coco: The same as pycocotools holds them.
    """

    images: dict[Hashable, int]
    categories: dict[Hashable, int]
    annotations: list[dict]
    coco: Any


def number_truth(
    dataset: dict,
    image_ids: Sequence[Hashable],
    category_ids: Sequence[Hashable],
    sizes: dict[Hashable, tuple[int, int]],
    masks: bool,
) -> NumberedTruth:
    """Give the annotations of some images and categories ids of their own.

    Args:
        dataset: What a COCO file holds.
        image_ids: The images to evaluate.
        category_ids: The categories to evaluate.
        sizes: Heights and widths of images of which the file has none.
        masks: Whether masks are evaluated.

    Returns:
        The annotations, as copies.

    Raises:
        UsageError: If masks are evaluated and an object has none.
    """
    images, categories = number(image_ids), number(category_ids)
    shapes = {
        image['id']: (image.get('height') or sizes.get(image['id'], (0, 0))[0],
                      image.get('width') or sizes.get(image['id'], (0, 0))[1])
        for image in dataset['images']
    }  # fmt: skip
    annotations = []
    for annotation in dataset.get('annotations') or []:
        image, category = images.get(annotation['image_id']), categories.get(annotation['category_id'])
        if image is None or category is None:
            continue
        record = {name: annotation[name] for name in ('bbox', 'area') if name in annotation}
        record |= dict(id=len(annotations) + 1, image_id=image, category_id=category)
        record |= dict(iscrowd=int(annotation.get('iscrowd') or 0), is_ignored=bool(annotation.get('ignore')))
        if masks:
            record['segmentation'] = _encode(annotation, *shapes[annotation['image_id']])
        annotations.append(record)
    return NumberedTruth(images, categories, annotations, _coco(images.values(), categories.values(), annotations))


def _encode(annotation: dict, height: int, width: int) -> dict:
    """Return an annotation's segmentation as compressed run lengths."""
    segmentation, name = annotation.get('segmentation'), f'annotation {annotation["id"]!r}'
    if segmentation is None:
        raise UsageError(f'{name} has no segmentation, which the metric segm compares.')
    if isinstance(segmentation, dict):
        has_list = isinstance(segmentation['counts'], list)
        return rle.frPyObjects(segmentation, height, width) if has_list else segmentation
    if not segmentation:
        return rle.encode(np.zeros((height, width), np.uint8, order='F'))
    # Compared so that NaN fails, too.
    if not all(np.abs(polygon).max(initial=0) < MAX_COORDINATE for polygon in segmentation):
        raise UsageError(f'{name}: its segmentation has coordinates that are no number, or huge.')
    return rle.merge(rle.frPyObjects(segmentation, height, width))


def _coco(images: Iterable[int], categories: Iterable[int], annotations: list[dict]) -> COCO:
    coco: Any = COCO()
    coco.dataset = dict(
        images=[dict(id=image, height=0, width=0) for image in images],
        categories=[dict(id=category) for category in categories],
        annotations=annotations,
    )
    with redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def score(
    truth: NumberedTruth,
    predictions: list[dict],
    iou_type: str,
    numbers: Iterable[SupportsInt],
    iou_thresholds: Sequence[float] | float | None,
    category_ids: Sequence[Hashable],
    use_categories: bool = True,
) -> Scores:
    """Evaluate predictions as pycocotools does, by faster-coco-eval if it is installed.

    Args:
        truth: The annotations.
        predictions: With the truth's numbers: `image_id`, `category_id`, `score`, and `bbox` or `segmentation`.
        iou_type: 'bbox' or 'segm'.
        numbers: Numbers of detections an image.
        iou_thresholds: Thresholds of IoU.
        category_ids: The categories' ids in the file.
        use_categories: Whether a prediction's category matters.
    """
    for i, record in enumerate(predictions, start=1):
        record.update(id=i, iscrowd=0)
    found = _coco(truth.images.values(), truth.categories.values(), predictions)
    evaluator_type: Any = COCOeval_faster or COCOeval
    evaluator = evaluator_type(truth.coco, found, iou_type)
    params = evaluator.params
    params.imgIds = list(truth.images.values())
    params.catIds = [truth.categories[key] for key in dict.fromkeys(category_ids)]
    params.iouThrs = np.atleast_1d(np.asarray(iou_thresholds, dtype=float))
    params.maxDets = sorted({int(count) for count in numbers})
    params.useCats = int(use_categories)
    with redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
    return Scores(
        np.asarray(evaluator.eval['precision']), np.asarray(evaluator.eval['recall']), params.iouThrs, params.maxDets
    )
