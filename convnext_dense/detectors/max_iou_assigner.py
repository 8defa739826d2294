"""mmdet's MaxIoUAssigner without a question to the GPU for each object."""

import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.assigners import MaxIoUAssigner as MMDetMaxIoUAssigner
from torch import Tensor

from convnext_dense.registry import TASK_UTILS


@TASK_UTILS.register_module()
class MaxIoUAssigner(MMDetMaxIoUAssigner):
    """Assigns objects to anchors or proposals by their IoU, as mmdet's class of this name does.

    mmdet's asks the GPU whether each object has a good enough box, in turn, and so waits for it once an object, and in
    some more places. This one does not wait. The result is the same; so are the arguments.

    Example:
        >>> calculator = dict(type='mmdet.BboxOverlaps2D')
        >>> assigner = MaxIoUAssigner(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3, iou_calculator=calculator)
        >>> overlaps = torch.tensor([[0.8, 0.4, 0.1]])
        >>> assigner.assign_wrt_overlaps(overlaps, torch.tensor([5])).gt_inds.tolist()
        [1, -1, 0]
    """

    def assign_wrt_overlaps(self, overlaps: Tensor, gt_labels: Tensor) -> AssignResult:
        """Return which object each box belongs to: its index from 1, 0 for the background, or -1 for none.

        Args:
            overlaps: (objects, boxes) IoU.
            gt_labels: (objects,) the objects' classes.
        """
        if not overlaps.numel() or not isinstance(self.neg_iou_thr, float | tuple):
            return super().assign_wrt_overlaps(overlaps, gt_labels)
        largest, nearest = overlaps.max(dim=0)
        negative = self.neg_iou_thr
        lower, upper = negative if isinstance(negative, tuple) else (0, negative)
        is_background = (largest >= lower) & (largest < upper)
        assigned = torch.where(is_background, 0, torch.full_like(nearest, -1))
        assigned = torch.where(largest >= self.pos_iou_thr, nearest + 1, assigned)
        if self.match_low_quality:
            best = self._best_boxes(overlaps)
            # Of several objects that have a box as their best, the last one gets it.
            last = len(overlaps) - best.flip(0).byte().argmax(dim=0)
            assigned = torch.where(best.any(dim=0), last, assigned)
        labels = torch.where(assigned > 0, gt_labels[(assigned - 1).clamp(min=0)], -1)
        return AssignResult(num_gts=len(overlaps), gt_inds=assigned, max_overlaps=largest, labels=labels)

    def _best_boxes(self, overlaps: Tensor) -> Tensor:
        """Return (objects, boxes) bool: which boxes an object gets because none overlaps it more."""
        largest, first = overlaps.max(dim=1, keepdim=True)
        if self.gt_max_assign_all:
            best = overlaps == largest
        else:
            best = torch.zeros_like(overlaps, dtype=torch.bool).scatter_(1, first, True)
        return best & (largest >= self.min_pos_iou)
