"""Contrastive denoising: queries that start near objects, and learn to find them or to reject them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from convnext_dense.detectors.realtime_detr.predictions import inverse_sigmoid, to_centers, to_corners


class Targets(NamedTuple):
    """The objects of an image.

    Args:
        labels: Their classes, (M,).
        boxes: Centers, widths and heights as shares of the image, (M, 4).
    """

    labels: Tensor
    boxes: Tensor


class Denoising(NamedTuple):
    """Denoising queries of a batch.

    Args:
        labels: The classes that they start with, (N, Q); the number of classes where an image has fewer objects.
        boxes: The boxes that they start with, (N, Q, 4).
        mask: Which query attends to which, those of the decoder behind these included, of booleans.
        matches: For each image, the queries that shall find an object, and which object.
        num_groups: How often each object occurs.
    """

    labels: Tensor
    boxes: Tensor
    mask: Tensor
    matches: list[tuple[Tensor, Tensor]]
    num_groups: int


def make_denoising(
    targets: Sequence[Targets],
    num_classes: int,
    num_queries: int,
    num_denoising: int = 100,
    label_noise: float = 0.5,
    box_noise: float = 1.0,
) -> Denoising | None:
    """Return denoising queries, or None if there are no objects.

    Each group has all objects of an image twice: moved by up to half of their size times `box_noise`, which shall be
    found, and by up to twice as much, which shall be rejected. Groups do not see each other.

    Args:
        targets: The objects of each image.
        num_classes: How many classes.
        num_queries: How many queries follow them in the decoder. They do not see these.
        num_denoising: How many objects there are in all groups; one group if an image has more.
        label_noise: The share of classes that are drawn at random, twice.
        box_noise: How far edges move.

    Reference:
        `DINO <https://arxiv.org/abs/2203.03605>`_

    Example:
        >>> targets = [Targets(torch.tensor([1, 0]), torch.rand(2, 4)), Targets(torch.tensor([2]), torch.rand(1, 4))]
        >>> denoising = make_denoising(targets, num_classes=3, num_queries=5, num_denoising=8)
        >>> denoising.num_groups, denoising.boxes.shape, denoising.mask.shape
        (4, torch.Size([2, 16, 4]), torch.Size([21, 21]))
    """
    counts = [len(target.labels) for target in targets]
    most = max(counts)
    if not most or not num_denoising:
        return None
    device = targets[0].boxes.device
    groups = max(num_denoising // most, 1)
    labels = torch.full((len(targets), most), num_classes, device=device)
    boxes = torch.zeros(len(targets), most, 4, device=device)
    real = torch.zeros(len(targets), most, dtype=torch.bool, device=device)
    for i, target in enumerate(targets):
        labels[i, : counts[i]], boxes[i, : counts[i]], real[i, : counts[i]] = *target, True
    labels, boxes, real = labels.repeat(1, 2 * groups), boxes.repeat(1, 2 * groups, 1), real.repeat(1, 2 * groups)
    negative = torch.tensor([0.0, 1.0], device=device).repeat_interleave(most).repeat(groups)[:, None]
    if label_noise:
        drawn = torch.rand(labels.shape, device=device) < label_noise / 2
        labels = torch.where(drawn & real, torch.randint(num_classes, labels.shape, device=device), labels)
    if box_noise:
        signs = torch.randint(2, boxes.shape, device=device) * 2.0 - 1.0
        moves = (torch.rand(boxes.shape, device=device) + negative) * signs
        reach = boxes[..., 2:].repeat(1, 1, 2) / 2 * box_noise
        boxes = to_centers((to_corners(boxes) + moves * reach).clamp(0, 1))
        # The decoder's own queries are logits before they are boxes, and no nearer to the image's border than this.
        boxes = inverse_sigmoid(boxes).sigmoid()
    starts = torch.arange(groups, device=device)[:, None] * 2 * most
    matches = []
    for count in counts:
        objects = torch.arange(count, device=device)
        matches.append(((starts + objects).flatten(), objects.repeat(groups)))
    return Denoising(labels, boxes, _make_mask(groups, 2 * most, num_queries, device), matches, groups)


def _make_mask(groups: int, size: int, num_queries: int, device: torch.device) -> Tensor:
    """Each group attends to itself and to the decoder's queries, which attend to one another."""
    group = torch.cat(
        [torch.arange(groups, device=device).repeat_interleave(size), torch.full((num_queries,), -1, device=device)]
    )
    return (group[None] == -1) | (group[:, None] == group[None])
