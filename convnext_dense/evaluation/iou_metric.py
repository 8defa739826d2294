"""mmseg's IoU, counted once a map instead of by three histograms of floating-point numbers."""

import torch
from mmseg.evaluation import IoUMetric as MMSegIoUMetric
from torch import Tensor

from convnext_dense.registry import METRICS


@METRICS.register_module()
class IoUMetric(MMSegIoUMetric):
    """mmseg's IoUMetric, with the same scores, by one count on the device of the maps.

    Its arguments are mmseg's.

    Example:
        >>> label_map, found = torch.tensor([0, 1, 1, 255]), torch.tensor([0, 0, 1, 1])
        >>> [areas.tolist() for areas in IoUMetric.intersect_and_union(found, label_map, 2, 255)]
        [[1.0, 1.0], [2.0, 2.0], [2.0, 1.0], [1.0, 2.0]]
    """

    @staticmethod
    def intersect_and_union(
        pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the areas of each class: intersection, union, prediction and truth.

        Args:
            pred_label: The classes that were found, (height, width).
            label: The true ones, likewise.
            num_classes: How many classes there are. Other numbers belong to none.
            ignore_index: Where the truth is this, nothing is counted.

        Returns:
            Four numbers of pixels for each class, (classes,), float32, on the CPU.
        """
        if num_classes == 1:
            # PyTorch's histogram of an empty range is that of all numbers.
            return MMSegIoUMetric.intersect_and_union(pred_label, label, num_classes, ignore_index)
        others = num_classes
        truth = _clip(label, num_classes)
        truth[label == ignore_index] = others + 1
        pairs = (truth * (others + 1) + _clip(pred_label, num_classes)).flatten()
        counts = torch.bincount(pairs, minlength=(others + 2) * (others + 1)).view(others + 2, others + 1)[:-1]
        intersection = counts.diagonal()[:others]
        found, true = counts.sum(0)[:others], counts.sum(1)[:others]
        areas = torch.stack([intersection, found + true - intersection, found, true]).float().cpu()
        return areas[0], areas[1], areas[2], areas[3]


def _clip(classes: Tensor, num_classes: int) -> Tensor:
    """Return a map of int64 in which all that is no class has one number."""
    classes = classes.long()
    return torch.where((classes < 0) | (classes > num_classes), num_classes, classes)
