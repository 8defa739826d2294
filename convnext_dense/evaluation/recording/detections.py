"""Keeps what a detector finds in a validation."""

from collections.abc import Callable
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement, InstanceData
from pycocotools import mask

from convnext_dense.evaluation.errors.boxes import Boxes, make_boxes, overlaps
from convnext_dense.evaluation.recording.record import ShownImage
from convnext_dense.evaluation.recording.shown_images import ShownImages

# Of an image, as COCO evaluates.
MOST_BOXES = 100
# From this score on a box is drawn, and counts in an image's score if it has this IoU with an object.
SHOWN_SCORE, IOU = 0.3, 0.5
# Untyped: its stubs know fewer forms.
rle: Any = mask


class DetectionRecorder:
    """Keeps boxes, classes and scores of a validation, and the objects that were to be found.

    Args:
        count: How many images there are.
        areas: Returns, of an image's id, COCO's areas of its objects by their boxes, as far as they are known.
    """

    def __init__(self, count: int, areas: Callable[[object], dict[tuple, float]]) -> None:
        self.shown = ShownImages(count)
        self.areas = areas
        self.scores: dict[int, float] = {}
        self._parts: dict[str, list[Boxes]] = dict(truth=[], found=[])

    def add(self, index: int, file: str, info: dict, sample: BaseDataElement) -> None:
        """Keep what was found in an image.

        Args:
            index: Its number in the dataset.
            file: The image.
            info: What the dataset says of it.
            sample: Its predictions.
        """
        objects = [part for part in info.get('instances') or () if len(part.get('bbox') or ()) == 4]
        known = self.areas(info.get('img_id'))
        truth = make_boxes(
            [index] * len(objects),
            [part['bbox_label'] for part in objects],
            [part['bbox'] for part in objects],
            is_ignored=[bool(part.get('ignore_flag')) for part in objects],
        )
        areas = [known.get(tuple(part['bbox']), own) for part, own in zip(objects, truth.area.tolist(), strict=True)]
        truth.area[:] = areas
        instances: Any = sample.get('pred_instances')
        scores = _array(instances.scores).astype(np.float64)
        best = np.argsort(-scores, kind='stable')[:MOST_BOXES]
        boxes = _array(getattr(instances.bboxes, 'tensor', instances.bboxes)).reshape(-1, 4)[best]
        found = make_boxes([index] * len(best), _array(instances.labels)[best], boxes, scores[best])
        self._parts['truth'].append(truth)
        self._parts['found'].append(found)
        score = self.scores[index] = image_score(truth, found)
        shape = tuple(sample.get('ori_shape') or (info.get('height', 0), info.get('width', 0)))[:2]
        self.shown.add(
            index,
            score,
            lambda: ShownImage(
                index,
                file,
                score,
                (int(shape[0]), int(shape[1])),
                list(map(_object, objects, [shape] * len(objects))),
                _found(found, instances, best),
            ),
        )

    def state(self) -> dict[str, Any]:
        """Return all that was kept, for another process."""
        return dict(scores=self.scores, shown=self.shown.images(), **{name: self.boxes(name) for name in self._parts})

    def merge(self, state: dict[str, Any]) -> None:
        """Take in what another process kept of other images. Samplers may have given both the same."""
        self.shown.merge(state['shown'])
        new = np.array([index for index in state['scores'] if index not in self.scores], np.int64)
        self.scores.update({index: state['scores'][index] for index in new.tolist()})
        for name in self._parts:
            self._parts[name].append(state[name].at(np.isin(state[name].image, new)))

    def boxes(self, name: str) -> Boxes:
        """Return the boxes of all images: those of 'truth', or those 'found'."""
        parts = self._parts[name] or [make_boxes([], [], [])]
        names = ('image', 'label', 'box', 'score', 'is_ignored', 'area')
        return Boxes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def image_score(truth: Boxes, found: Boxes) -> float:
    """Return how well an image is predicted: the F1 score of boxes with a score of at least `SHOWN_SCORE`.

    A box is correct if it has an IoU of at least `IOU` with an object of its class that no box of a higher score has.

    Args:
        truth: The image's objects.
        found: What was found, the highest scores first.

    Returns:
        From 0 to 1; -1 if there is neither an object nor a box.

    Example:
        >>> truth = make_boxes([0, 0], [1, 1], [[0, 0, 9, 9], [20, 0, 29, 9]])
        >>> round(image_score(truth, make_boxes([0], [1], [[0, 0, 9, 8]], [0.9])), 2)
        0.67
    """
    found = found.at(found.score >= SHOWN_SCORE)
    ious = overlaps(found.box, truth.box, truth.is_ignored)
    same = found.label[:, None] == truth.label[None]
    is_free, hits, counted = ~truth.is_ignored, 0, 0
    objects = int(is_free.sum())
    for row, own in zip(ious, same, strict=True):
        free = np.where(own & is_free, row, 0)
        if len(free) and free.max() >= IOU:
            is_free[free.argmax()] = False
            hits += 1
            counted += 1
        elif not (own & truth.is_ignored & (row >= IOU)).any():
            counted += 1
    return 2 * hits / (objects + counted) if objects + counted else -1.0


def _object(part: dict, shape: tuple[int, int]) -> dict:
    box = [float(value) for value in part['bbox']]
    shown = dict(label=int(part['bbox_label']), box=box, is_ignored=bool(part.get('ignore_flag')))
    outline = part.get('mask')
    if isinstance(outline, list) and outline:
        outline = rle.merge(rle.frPyObjects(outline, *shape))
    elif isinstance(outline, dict) and isinstance(outline.get('counts'), list):
        outline = rle.frPyObjects(outline, *shape)
    return {**shown, 'mask': _as_text(outline)} if isinstance(outline, dict) else shown


def _found(found: Boxes, instances: InstanceData, best: np.ndarray) -> list[dict]:
    masks: Any = instances.get('masks')
    shown = []
    for row in np.flatnonzero(found.score >= SHOWN_SCORE).tolist():
        part = dict(label=int(found.label[row]), box=found.box[row].tolist(), score=float(found.score[row]))
        if masks is not None:
            single = masks[int(best[row])]
            encoded = single if isinstance(single, dict) else rle.encode(np.asfortranarray(_array(single), np.uint8))
            part['mask'] = _as_text(encoded)
        shown.append(part)
    return shown


def _as_text(encoded: dict) -> dict:
    counts = encoded['counts']
    size = [int(value) for value in encoded['size']]
    return dict(size=size, counts=counts.decode() if isinstance(counts, bytes) else counts)


def _array(values: Any) -> np.ndarray:  # noqa: ANN401 - a tensor or an array
    return values.detach().cpu().float().numpy() if hasattr(values, 'detach') else np.asarray(values)
