"""Boxes of images: chosen by score, and without duplicates."""

import torch
from mmengine.config import ConfigDict
from torch import Tensor
from torch.nn.functional import pad

from convnext_dense.errors import UsageError
from convnext_dense.export.operators.suppression import NO_SCORE, suppress


def check_suppression(config: ConfigDict, where: str) -> None:
    """Raise UsageError if a kind of non-maximum suppression cannot be exported.

    Args:
        config: mmdet's, such as ``dict(type='nms', iou_threshold=0.5)``.
        where: Which key of the config it is.
    """
    if (kind := config.get('type', 'nms')) != 'nms':
        raise UsageError(f"export: {where} is {kind}, which has no form in ONNX; export with type='nms' in its place.")


def highest(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return the highest scores of each image, and where they are. Where there are fewer, they are `NO_SCORE`.

    Args:
        scores: With shape (N, M).
        most: How many.

    Returns:
        Scores and indices, with shape (N, most).

    Example:
        >>> highest(torch.tensor([[0.5, 0.75]]), 3)
        (tensor([[ 0.7500,  0.5000, -1.0000]]), tensor([[1, 0, 0]]))
    """
    # With `most` more columns, no size depends on M.
    values, places = pad(scores, (0, most), value=NO_SCORE).topk(most)
    return values, torch.where(values > NO_SCORE, places, 0)


def take(rows: Tensor, places: Tensor) -> Tensor:
    """Return rows of each image.

    Args:
        rows: With shape (N, M, C).
        places: Which ones, with shape (N, K).

    Returns:
        With shape (N, K, C).
    """
    return rows.gather(1, places[..., None].expand(-1, -1, rows.shape[-1]))


def keep_best(
    boxes: Tensor, scores: Tensor, labels: Tensor, config: ConfigDict, score_threshold: float, most: int
) -> tuple[Tensor, Tensor]:
    """Return the boxes that are left of each image, by falling score, as mmcv's `batched_nms` chooses them.

    Args:
        boxes: With shape (N, M, 4).
        scores: With shape (N, M).
        labels: Boxes of different labels do not suppress each other, with shape (N, M).
        config: mmdet's of the suppression.
        score_threshold: The score that is not enough.
        most: How many are left at most.

    Returns:
        Scores and indices, with shape (N, most). Where there are fewer, the score is `NO_SCORE`.
    """
    moved = boxes
    if not config.get('class_agnostic', False):
        # Boxes of other labels lie where they do not overlap.
        moved = boxes + labels[..., None].to(boxes.dtype) * (boxes.amax((1, 2), keepdim=True) + 1)
    kept = suppress(moved, scores, float(config.get('iou_threshold', 0.5)), score_threshold, most)
    found = torch.where(kept >= 0, scores.gather(1, kept.clamp(min=0)), NO_SCORE)
    # Runtimes differ in the order.
    values, order = found.topk(most)
    return values, kept.clamp(min=0).gather(1, order)
