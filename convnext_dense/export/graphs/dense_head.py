"""Boxes of a head that predicts at each place of the feature maps."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import Tensor, nn

from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.boxes import check_suppression, highest, keep_best, take
from convnext_dense.export.operators.suppression import NO_SCORE

# What is of mmdet's base class in a head that is exported.
METHODS = ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')


class DenseHead(nn.Module):
    """The boxes of mmdet's dense heads, such as RetinaNet's, FCOS's, ATSS's and RTMDet's, or an RPN's.

    Args:
        head: The head.

    Raises:
        UsageError: If it makes boxes in another way than mmdet's base class.
    """

    def __init__(self, head: BaseDenseHead) -> None:
        super().__init__()
        base = RPNHead if isinstance(head, RPNHead) else BaseDenseHead
        for method in METHODS:
            if getattr(type(head), method, None) is not getattr(base, method):
                raise UsageError(
                    f'export: {type(head).__name__} has a {method} of its own, whose ONNX form is not known.'
                )
        self.head = head
        self.is_rpn = base is RPNHead
        config = head.test_cfg
        self.suppression = config.nms
        check_suppression(self.suppression, 'test_cfg.nms')
        self.most_of_level, self.most = config.get('nms_pre', -1), config.max_per_img
        # Without a threshold, that of a score that is none. An RPN has none.
        self.threshold = NO_SCORE / 2 if self.is_rpn else config.get('score_thr', 0)
        self.least_side = config.get('min_bbox_size', -1)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes with shape (N, most, 4), their scores, and their labels, with shape (N, most).

        Args:
            features: The neck's feature maps.
            size: Height and width of the images, in pixels.
        """
        outputs = self.head(features)
        factors = outputs[2] if len(outputs) > 2 else [None] * len(outputs[0])
        priors = self.head.prior_generator.grid_priors(
            [maps.shape[-2:] for maps in outputs[0]], dtype=outputs[0][0].dtype, device=outputs[0][0].device
        )
        levels = [
            self._level(*level, number=number)
            for number, level in enumerate(zip(*outputs[:2], factors, priors, strict=True))
        ]
        scores, labels, places, deltas = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
        boxes = self.head.bbox_coder.decode(places.flatten(0, 1), deltas.flatten(0, 1), max_shape=size)
        boxes = boxes.unflatten(0, scores.shape)
        if self.least_side >= 0:
            sides = boxes[..., 2:] - boxes[..., :2]
            scores = torch.where((sides > self.least_side).all(-1), scores, NO_SCORE)
        scores, best = keep_best(boxes, scores, labels, self.suppression, NO_SCORE / 2, self.most)
        return take(boxes, best), scores, labels.gather(1, best)

    def _level(
        self, logits: Tensor, deltas: Tensor, factors: Tensor | None, priors: Tensor, number: int
    ) -> tuple[Tensor, ...]:
        """Return the scores, labels, priors and offsets of the best places of a level."""
        images, classes = logits.shape[0], self.head.cls_out_channels
        logits = logits.permute(0, 2, 3, 1).reshape(images, -1, classes)
        deltas = deltas.permute(0, 2, 3, 1).reshape(images, -1, self.head.bbox_coder.encode_size)
        scores = logits.sigmoid() if self.head.use_sigmoid_cls else logits.softmax(-1)[..., :-1]
        classes = scores.shape[-1]
        scores = torch.where(scores > self.threshold, scores, NO_SCORE).flatten(1)
        if self.most_of_level > 0:
            scores, places = highest(scores, self.most_of_level)
        else:
            places = torch.arange(scores.shape[1], device=scores.device).expand(images, -1)
        # An RPN's boxes suppress those of their own level.
        labels = torch.full_like(places, number) if self.is_rpn else places % classes
        places = places // classes
        if factors is not None:
            factors = factors.permute(0, 2, 3, 1).reshape(images, -1).sigmoid().gather(1, places)
            scores = torch.where(scores > NO_SCORE, scores * factors, NO_SCORE)
        return scores, labels, priors[places], take(deltas, places)
