"""Compares what an exported model predicts with what PyTorch predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convnext_dense.results.masks import cropped
from convnext_dense.results.result import SCORE, Result

# Boxes of this score count. One that PyTorch gives this score may have a little less in the other runtime.
NEARLY = 0.9 * SCORE
# Boxes whose edges are nearer than this many pixels are equal.
SAME_PLACE = 1e-3


@dataclass(frozen=True)
class Tolerance:
    """How far an exported model may be off.

    Args:
        iou: The least IoU of a box or a mask with that of PyTorch.
        missing: The largest share of boxes without a partner.
        pixels: The largest share of pixels that have another label.
    """

    iou: float
    missing: float
    pixels: float


# By the precision in bits. Arithmetic of 8 bits is judged by the score on a validation set; this finds what is broken.
TOLERANCES = {32: Tolerance(0.99, 0, 1e-3), 16: Tolerance(0.95, 0.02, 0.01), 8: Tolerance(0.8, 0.2, 0.05)}


@dataclass(frozen=True)
class Difference:
    """How an exported model's results differ from PyTorch's.

    Args:
        images: How many images were compared.
        boxes: How many boxes of score 0.3 or more there are, of either.
        unmatched: How many of them have no partner of the same class with an IoU as the tolerance asks for.
        least_iou: The least IoU of partners.
        largest_score: The largest difference of the scores of partners.
        least_mask_iou: The least IoU of the masks of partners; None without masks.
        pixels: The share of pixels whose labels differ; None of a detector.
    """

    images: int
    boxes: int = 0
    unmatched: int = 0
    least_iou: float = 1.0
    largest_score: float = 0.0
    least_mask_iou: float | None = None
    pixels: float | None = None

    def is_within(self, tolerance: Tolerance) -> bool:
        """Return whether it is small enough.

        Args:
            tolerance: How far the model may be off.
        """
        if self.pixels is not None:
            return self.pixels <= tolerance.pixels
        masks_fit = self.least_mask_iou is None or self.least_mask_iou >= tolerance.iou or tolerance.missing > 0
        return self.unmatched <= tolerance.missing * self.boxes and masks_fit

    def rows(self) -> list[tuple[str, str]]:
        """Return it as names and texts."""
        if self.pixels is not None:
            return [('images', str(self.images)), ('pixels with another label', f'{self.pixels:.4%}')]
        rows = [
            ('images', str(self.images)),
            (f'boxes of score {SCORE} or more', str(self.boxes)),
            ('without a partner', str(self.unmatched)),
        ]
        if not self.boxes:
            rows.append(('compared', 'nothing, as the model is sure of no box in these images'))
        if self.unmatched < self.boxes:
            rows.append(('least IoU of partners', f'{self.least_iou:.4f}'))
            rows.append(('largest difference of scores', f'{self.largest_score:.1e}'))
        if self.least_mask_iou is not None:
            rows.append(('least IoU of masks', f'{self.least_mask_iou:.4f}'))
        return rows


def compare_results(expected: Sequence[Result], found: Sequence[Result], tolerance: Tolerance) -> Difference:
    """Return how results differ.

    Args:
        expected: PyTorch's.
        found: The exported model's, on the same images.
        tolerance: How far partners may be apart.
    """
    pairs = list(zip(expected, found, strict=True))
    if expected and expected[0].semantic is not None:
        total = sum(first.semantic.size for first in expected)
        return Difference(len(pairs), pixels=sum(int((a.semantic != b.semantic).sum()) for a, b in pairs) / total)
    boxes = unmatched = 0
    ious, scores, mask_ious = [1.0], [0.0], []
    for first, second in pairs:
        for one, other in ((first, second), (second, first)):
            chosen, likely = one.at_least(SCORE), other.at_least(NEARLY)
            boxes += len(chosen)
            for i in range(len(chosen)):
                partner, iou = _partner(chosen, i, likely)
                if iou < tolerance.iou:
                    unmatched += 1
                    continue
                ious.append(iou)
                scores.append(abs(float(chosen.scores[i] - likely.scores[partner])))
                if chosen.masks is not None and likely.masks is not None:
                    parts = cropped(chosen.masks, i), cropped(likely.masks, partner)
                    mask_ious.append(_mask_iou(*(part.whole(first.size) for part in parts)))
    least_mask_iou = min(mask_ious) if mask_ious else None
    return Difference(len(pairs), boxes, unmatched, min(ious), max(scores), least_mask_iou)


def _partner(result: Result, index: int, others: Result) -> tuple[int, float]:
    """Return which of others is the object with the same class and the largest IoU, and that IoU."""
    if not len(others):
        return -1, 0.0
    box = result.boxes[index]
    corners = np.maximum(box[:2], others.boxes[:, :2]), np.minimum(box[2:], others.boxes[:, 2:])
    shared = np.clip(corners[1] - corners[0], 0, None).prod(1)
    areas = (others.boxes[:, 2:] - others.boxes[:, :2]).prod(1)
    ious = shared / np.maximum((box[2:] - box[:2]).prod() + areas - shared, 1e-12)
    # Those without an area have none in common.
    ious[np.abs(others.boxes - box).max(1) < SAME_PLACE] = 1
    ious[others.labels != result.labels[index]] = 0
    best = int(ious.argmax())
    return best, float(ious[best])


def _mask_iou(first: np.ndarray, second: np.ndarray) -> float:
    union = (first | second).sum()
    return float((first & second).sum() / union) if union else 1.0
