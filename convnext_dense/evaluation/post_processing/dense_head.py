"""Boxes of dense heads such as RetinaNet's, computed for the scores above the threshold."""

import math
from typing import Any

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmengine.structures import InstanceData
from torch import Tensor

from convnext_dense.evaluation.post_processing.vector_sigmoid import LANES, sigmoid_of

mmdet_predict_dense = BaseDenseHead._predict_by_feat_single
# How far below the threshold, as a logit, a score is looked at: more than rounding makes of it.
MARGIN = 1e-3


def predict_dense(
    self: BaseDenseHead,
    cls_score_list: list[Tensor],
    bbox_pred_list: list[Tensor],
    score_factor_list: list[Any],
    mlvl_priors: list[Tensor],
    img_meta: dict,
    cfg: Any = None,  # noqa: ANN401 - mmdet's
    rescale: bool = False,
    with_nms: bool = True,
) -> InstanceData:
    """Return the detections of `BaseDenseHead._predict_by_feat_single`, bit for bit.

    It compares logits, and computes probabilities and boxes of those alone that are above the threshold.

    Args:
        self: The head.
        cls_score_list: Logits of each level, (priors * classes, height, width).
        bbox_pred_list: Deltas of each level, (4 * priors, height, width).
        score_factor_list: A factor of the scores of each level; None, or else mmdet's method does it.
        mlvl_priors: Priors of each level.
        img_meta: The image's shape and scale.
        cfg: Numbers and thresholds; by default the head's.
        rescale: Whether the boxes are those of the original image.
        with_nms: Whether to suppress boxes.
    """
    chosen: Any = self.test_cfg if cfg is None else cfg
    if not _can_predict(self, cls_score_list, score_factor_list, mlvl_priors, chosen):
        return mmdet_predict_dense(
            self, cls_score_list, bbox_pred_list, score_factor_list, mlvl_priors, img_meta, cfg, rescale, with_nms
        )
    parts = []
    for logits, maps, priors in zip(cls_score_list, bbox_pred_list, mlvl_priors, strict=True):
        scores, places = _above(logits, chosen['score_thr'])
        scores, order = scores.sort(descending=True)
        scores, places = scores[: chosen['nms_pre']], places[order[: chosen['nms_pre']]]
        anchors, labels = places // self.cls_out_channels, places % self.cls_out_channels
        kinds = len(maps) // 4
        deltas = maps.reshape(kinds, 4, -1)[anchors % kinds, :, anchors // kinds]
        parts.append((deltas, priors[anchors], scores, labels))
    deltas, priors, scores, labels = (torch.cat(values) for values in zip(*parts, strict=True))
    boxes = self.bbox_coder.decode(priors, deltas, max_shape=img_meta['img_shape'])
    found = InstanceData(bboxes=boxes, scores=scores, labels=labels)
    return self._bbox_post_process(found, chosen, rescale=rescale, with_nms=with_nms, img_meta=img_meta)


def _can_predict(
    head: Any,  # noqa: ANN401 - mmdet's heads set such attributes
    scores: list[Tensor],
    factors: list[Any],
    priors: list[Tensor],
    cfg: dict,
) -> bool:
    return (
        scores[0].device.type == 'cpu'
        and head.use_sigmoid_cls
        and not getattr(head.loss_cls, 'custom_cls_channels', False)
        and head.bbox_coder.encode_size == 4
        and all(factor is None for factor in factors)
        and all(isinstance(values, Tensor) for values in priors)
        and 0 < cfg.get('score_thr', 0) < 1
        and cfg.get('nms_pre', -1) > 0
    )


def _above(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return the probabilities above a threshold, and their places in the map with the channels last.

    Args:
        logits: Logits, (channels, height, width).
        threshold: The threshold.
    """
    channels, _, width = logits.shape
    channel, row, column = (logits > math.log(threshold / (1 - threshold)) - MARGIN).nonzero(as_tuple=True)
    places, order = ((row * width + column) * channels + channel).sort()
    if logits.numel() % LANES:
        scores = logits.permute(1, 2, 0).reshape(-1).sigmoid()[places]
    else:
        scores = sigmoid_of(logits[channel, row, column][order])
    kept = scores > threshold
    return scores[kept], places[kept]
