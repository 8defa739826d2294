"""Which query is to find which object."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import generalized_box_iou

from convnext_dense.detectors.realtime_detr.denoising import Targets
from convnext_dense.detectors.realtime_detr.predictions import Predictions, to_corners

# For each image, the queries that have an object, and which.
Matches = list[tuple[Tensor, Tensor]]
CLASS_COST, BOX_COST, IOU_COST = 2.0, 5.0, 2.0
ALPHA, GAMMA = 0.25, 2.0


@torch.no_grad()
def match(predictions: Predictions, targets: Sequence[Targets]) -> Matches:
    """Return the matching of queries and objects that costs least: by focal loss, distance of boxes, and GIoU.

    Args:
        predictions: The queries' predictions.
        targets: The objects of each image.

    Reference:
        `DETR <https://arxiv.org/abs/2005.12872>`_

    Example:
        >>> targets = [Targets(torch.tensor([1]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]))]
        >>> boxes = torch.tensor([[[0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.2, 0.3]]])
        >>> match(Predictions(torch.zeros(1, 2, 3), boxes), targets)
        [(tensor([1]), tensor([0]))]
    """
    matches = []
    for logits, boxes, target in zip(predictions.logits, predictions.boxes, targets, strict=True):
        scores = logits.sigmoid()[:, target.labels]
        positive = ALPHA * (1 - scores) ** GAMMA * -(scores + 1e-8).log()
        negative = (1 - ALPHA) * scores**GAMMA * -(1 - scores + 1e-8).log()
        distance = torch.cdist(boxes, target.boxes, p=1)
        giou = generalized_box_iou(to_corners(boxes), to_corners(target.boxes))
        cost = BOX_COST * distance + CLASS_COST * (positive - negative) - IOU_COST * giou
        # What is not finite is matched last, and the loss tells of it.
        limit = torch.finfo(cost.dtype).max
        queries, objects = linear_sum_assignment(cost.nan_to_num(limit, limit, limit).cpu().numpy())
        matches.append(_to_tensors(queries, objects, boxes.device))
    return matches


def unite(several: Sequence[Matches]) -> Matches:
    """Return the union of several matchings, where each query has the object that most of them give it.

    Args:
        several: Matchings of the same images.

    Reference:
        Global optimal localization of `D-FINE <https://arxiv.org/abs/2410.13842>`_

    Example:
        >>> first, second = (torch.tensor([0, 1]), torch.tensor([0, 1])), (torch.tensor([0, 2]), torch.tensor([0, 1]))
        >>> unite([[first], [second]])
        [(tensor([0, 1, 2]), tensor([0, 1, 1]))]
    """
    united = []
    for image in zip(*several, strict=True):
        pairs = torch.cat([torch.stack(pair, 1) for pair in image])
        unique, counts = np.unique(pairs.cpu().numpy(), axis=0, return_counts=True)
        # The most frequent pair of each query is first, and the first of its object's number among equals.
        unique = unique[np.lexsort((unique[:, 1], -counts, unique[:, 0]))]
        _, first = np.unique(unique[:, 0], return_index=True)
        united.append(_to_tensors(unique[first, 0], unique[first, 1], pairs.device))
    return united


def _to_tensors(queries: np.ndarray, objects: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(queries, device=device), torch.as_tensor(objects, device=device)


def indices(matches: Matches) -> tuple[Tensor, Tensor]:
    """Return the images and the queries of all matches, which index a tensor (N, Q, ...).

    Example:
        >>> indices([(torch.tensor([4]), torch.tensor([0])), (torch.tensor([2, 3]), torch.tensor([1, 0]))])
        (tensor([0, 1, 1]), tensor([4, 2, 3]))
    """
    images = [torch.full_like(queries, i) for i, (queries, _) in enumerate(matches)]
    return torch.cat(images), torch.cat([queries for queries, _ in matches])
