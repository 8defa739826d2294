"""Non-maximum suppression."""

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

from convnext_dense.compat.ops.precision import at_least_float32

NAIVE, LINEAR, GAUSSIAN = range(3)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of the kept boxes, by falling score.

    Args:
        boxes: (N, 4), as x1, y1, x2, y2 in pixels.
        scores: (N,).
        iou_threshold: A box is dropped if its IoU with a kept box is above this.
        offset: 0 or 1; a box's width is ``x2 - x1 + offset``.
    """
    boxes = at_least_float32(boxes)
    if offset:
        # The same widths and heights, and so the same IoU.
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision_nms(boxes, scores.to(boxes.dtype), iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (https://arxiv.org/abs/1704.04503) on the CPU.

    Args:
        boxes: (N, 4), as x1, y1, x2, y2 in pixels.
        scores: (N,).
        dets: (N, 5), of which the first K rows are filled with the kept boxes and their new scores.
        iou_threshold: From this IoU on, the naive and linear methods lower a score.
        sigma: The Gaussian method's width.
        min_score: A box is dropped once its score is below this.
        method: 0 naive, 1 linear, 2 Gaussian.
        offset: 0 or 1; a box's width is ``x2 - x1 + offset``.

    Returns:
        (K,) indices into `boxes`, in the order of `dets`.
    """
    box = at_least_float32(boxes.detach()).numpy()
    score = at_least_float32(scores.detach()).numpy().copy()
    kept: list[int] = []
    kept_scores: list[float] = []
    alive = np.arange(len(box))
    while alive.size:
        best = alive[score[alive].argmax()]
        kept.append(int(best))
        kept_scores.append(float(score[best]))
        alive = alive[alive != best]
        iou = _iou(box[best], box[alive], offset)
        if method == GAUSSIAN:
            weight = np.exp(-(iou * iou) / np.float32(sigma))
        else:
            lowered = 1 - iou if method == LINEAR else np.zeros_like(iou)
            weight = np.where(iou >= np.float32(iou_threshold), lowered, np.float32(1))
        score[alive] *= weight
        # Not `>=`: a score of NaN, from boxes without area, is kept as compiled mmcv keeps it.
        alive = alive[~(score[alive] < np.float32(min_score))]
    inds = torch.tensor(kept, dtype=torch.long)
    dets[: len(kept), :4] = boxes[inds]
    dets[: len(kept), 4] = dets.new_tensor(kept_scores)
    return inds


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group boxes by the box that suppresses them.

    Args:
        dets: (N, 5), as x1, y1, x2, y2, score, on the CPU.
        iou_threshold: From this IoU on, a box joins the group of the better one.

    Returns:
        A list of indices for each kept box, which comes first in it; the others follow by falling score.
    """
    box = at_least_float32(dets).numpy()
    alive = torch.sort(dets[:, 4], descending=True, stable=True).indices.numpy()
    groups = []
    while alive.size:
        best, rest = alive[0], alive[1:]
        joins = _iou(box[best, :4], box[rest, :4], 0) >= np.float32(iou_threshold)
        groups.append([int(best), *rest[joins].tolist()])
        alive = rest[~joins]
    return groups


def _iou(box: np.ndarray, others: np.ndarray, offset: int) -> np.ndarray:
    def area(x1y1x2y2: np.ndarray) -> np.ndarray:
        return (x1y1x2y2[..., 2] - x1y1x2y2[..., 0] + offset) * (x1y1x2y2[..., 3] - x1y1x2y2[..., 1] + offset)

    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]) + offset
    overlap = size.clip(min=0).prod(axis=1)
    # Two boxes without area have no IoU: NaN, which compares as not above any threshold.
    with np.errstate(invalid='ignore'):
        return overlap / (area(box) + area(others) - overlap)
