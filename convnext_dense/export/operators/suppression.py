"""Non-maximum suppression that returns as many indices for each image."""

import torch
from torch import Tensor
from torchvision.ops import nms

# Which score a box has that is none. Scores are from 0 to 1.
NO_SCORE = -1.0


@torch.library.custom_op('convnext_dense::suppress', mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, most: int) -> Tensor:
    """Return which boxes non-maximum suppression keeps in each image, those of the highest scores first.

    Args:
        boxes: Left, top, right and bottom, with shape (N, M, 4).
        scores: With shape (N, M).
        iou_threshold: A box is left out if its IoU with one that is kept is above this.
        score_threshold: A box is left out if its score is not above this.
        most: How many boxes of an image are kept at most.

    Returns:
        Indices with shape (N, most); -1 where fewer are kept.

    Example:
        >>> boxes = torch.tensor([[[0, 0, 8, 8], [0, 0, 8, 7], [20, 20, 30, 30]]], dtype=torch.float32)
        >>> suppress(boxes, torch.tensor([[0.5, 0.9, 0.2]]), 0.5, 0.1, 3)
        tensor([[ 1,  2, -1]])
    """
    kept = boxes.new_full((len(boxes), most), -1, dtype=torch.int64)
    for i in range(len(boxes)):
        valid = (scores[i] > score_threshold).nonzero().flatten()
        found = valid[nms(boxes[i, valid], scores[i, valid], iou_threshold)][:most]
        kept[i, : len(found)] = found
    return kept


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, most: int) -> Tensor:
    return boxes.new_empty((boxes.shape[0], most), dtype=torch.int64)
