"""The terms of the loss, each of one layer's predictions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from convnext_dense.detectors.realtime_detr.decoder.distributions import find_bins
from convnext_dense.detectors.realtime_detr.predictions import Predictions, to_corners

ALPHA, GAMMA = 0.75, 2.0
MAL_GAMMA = 1.5
TEMPERATURE = 5.0


def aligned_ious(boxes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and GIoU of each box with its target, (M,) each; both have centers, widths and heights, (M, 4).

    Example:
        >>> aligned_ious(torch.tensor([[1.0, 1.0, 2.0, 2.0]]), torch.tensor([[2.0, 1.0, 2.0, 2.0]]))
        (tensor([0.3333]), tensor([0.3333]))
    """
    (first, second), (other_first, other_second) = (to_corners(x).split(2, -1) for x in (boxes, targets))
    overlap = (torch.minimum(second, other_second) - torch.maximum(first, other_first)).clamp(min=0).prod(-1)
    hull = (torch.maximum(second, other_second) - torch.minimum(first, other_first)).clamp(min=0).prod(-1)
    # Neither is a box without area divided by.
    union = (boxes[:, 2:].prod(-1) + targets[:, 2:].prod(-1) - overlap).clamp(min=1e-12)
    iou = overlap / union
    return iou, iou - (hull - union) / hull.clamp(min=1e-12)


def classification_loss(
    logits: Tensor, index: tuple[Tensor, Tensor], labels: Tensor, ious: Tensor, kind: str
) -> Tensor:
    """Return the sum of the losses of the scores, which shall be the IoU for an object's class and 0 else.

    Args:
        logits: (N, Q, classes).
        index: Images and queries with an object, (M,) each.
        labels: The objects' classes, (M,).
        ious: IoU of the queries' boxes with their objects, (M,).
        kind: 'vfl' for varifocal loss, or 'mal' for DEIM's matchability-aware loss.

    Reference:
        `VarifocalNet <https://arxiv.org/abs/2008.13367>`_; `DEIM <https://arxiv.org/abs/2412.04234>`_

    Example:
        >>> index = torch.tensor([0]), torch.tensor([1])
        >>> args = torch.zeros(1, 2, 3), index, torch.tensor([2]), torch.tensor([0.8])
        >>> round(classification_loss(*args, 'vfl').item(), 4), round(classification_loss(*args, 'mal').item(), 4)
        (1.2043, 1.9185)
    """
    place = (*index, labels)
    objects, quality = torch.zeros_like(logits), torch.zeros_like(logits)
    objects[place], quality[place] = 1, ious.to(logits.dtype)
    scores = logits.detach().sigmoid()
    if kind == 'vfl':
        weight = ALPHA * scores**GAMMA * (1 - objects) + quality
    else:
        quality = quality**MAL_GAMMA
        weight = scores**MAL_GAMMA * (1 - objects) + objects
    return F.binary_cross_entropy_with_logits(logits, quality, weight, reduction='sum')


def fine_grained_localization_loss(
    predictions: Predictions,
    index: tuple[Tensor, Tensor],
    targets: Tensor,
    ious: Tensor,
    bin_distances: Tensor,
    reg_scale: Tensor,
) -> Tensor:
    """Return the sum of the cross entropies of the edges' distributions with the two bins next to an object's edge.

    Args:
        predictions: One layer's, with edges.
        index: Images and queries with an object, (M,) each.
        targets: The objects' boxes, (M, 4).
        ious: IoU of the queries' boxes with their objects, which weights the loss, (M,).
        bin_distances: Distances of the bins' edges, (bins + 1,).
        reg_scale: (1,).

    Reference:
        `D-FINE <https://arxiv.org/abs/2410.13842>`_, equation 7
    """
    edges = predictions.edges[index].unflatten(-1, (4, -1)).log_softmax(-1)
    lower, lower_weight, upper_weight = find_bins(
        predictions.initial_boxes[index].detach(), targets, bin_distances, reg_scale
    )
    likelihood = edges.gather(-1, torch.stack([lower, lower + 1], -1))
    losses = -(likelihood * torch.stack([lower_weight, upper_weight], -1)).sum(-1)
    return (losses * ious.detach()[:, None]).sum()


def distillation_loss(
    predictions: Predictions, teacher: Predictions, index: tuple[Tensor, Tensor], ious: Tensor
) -> Tensor:
    """Return how far a layer's distributions of edges are from the last layer's, a mean over queries.

    Queries with an object are weighted by their IoU, and others by the last layer's score.

    Args:
        predictions: One layer's, with edges.
        teacher: The last layer's.
        index: Images and queries with an object, (M,) each.
        ious: IoU of the queries' boxes with their objects, (M,).

    Reference:
        Decoupled distillation focal loss of `D-FINE <https://arxiv.org/abs/2410.13842>`_, equation 8
    """
    edges, soft = (x.unflatten(-1, (4, -1)) / TEMPERATURE for x in (predictions.edges, teacher.edges.detach()))
    divergence = F.kl_div(edges.log_softmax(-1), soft.softmax(-1), reduction='none').sum(-1)
    weight = teacher.logits.detach().sigmoid().amax(-1)
    weight[index] = ious.detach().to(weight.dtype)
    losses = (weight * TEMPERATURE**2)[..., None] * divergence
    matched = torch.zeros_like(weight, dtype=torch.bool)
    matched[index] = True
    masks = matched, ~matched
    means = torch.stack([losses[mask].mean() if mask.any() else losses.sum() * 0 for mask in masks])
    shares = torch.stack([mask.sum() ** 0.5 for mask in masks])
    return (means * shares).sum() / shares.sum()
