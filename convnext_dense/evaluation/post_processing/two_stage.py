"""Boxes of two-stage detectors, computed for those that are kept."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms, nms
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmdet.structures.bbox import scale_boxes
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

mmdet_propose = RPNHead.predict_by_feat
mmdet_classify = BBoxHead._predict_by_feat_single
# From this number of boxes on, mmcv suppresses those of each level by themselves.
SPLIT = 10000
# What a suppression is computed of at first, in terms of what is kept of it.
AMPLE = 2


def propose(
    self: RPNHead,
    cls_scores: list[Tensor],
    bbox_preds: list[Tensor],
    score_factors: list[Tensor] | None = None,
    batch_img_metas: list[dict] | None = None,
    cfg: ConfigDict | None = None,
    rescale: bool = False,
    with_nms: bool = True,
) -> list[InstanceData]:
    """Return the proposals of `RPNHead.predict_by_feat`, bit for bit.

    It sorts the best scores only, makes the anchors of these, and suppresses no more boxes than it takes to keep
    enough of them.

    Args:
        self: The head.
        cls_scores: Logits of each level, (images, anchors, height, width).
        bbox_preds: Deltas of each level, (images, 4 * anchors, height, width).
        score_factors: None.
        batch_img_metas: The images' shapes and scales.
        cfg: Numbers and thresholds; by default the head's.
        rescale: Whether the boxes are those of the original image.
        with_nms: True.
    """
    chosen: Any = self.test_cfg if cfg is None else cfg
    if not _can_propose(self, cls_scores, chosen):
        return mmdet_propose(self, cls_scores, bbox_preds, score_factors, batch_img_metas, cfg, rescale, with_nms)
    levels = [[maps.detach().unbind() for maps in values] for values in (cls_scores, bbox_preds)]
    images = zip(*(zip(*maps, strict=True) for maps in levels), batch_img_metas or (), strict=True)
    return [_propose_single(self, scores, deltas, meta, chosen, rescale) for scores, deltas, meta in images]


def _can_propose(head: RPNHead, cls_scores: list[Tensor], cfg: dict) -> bool:
    suppression = cfg.get('nms') or {}
    return (
        cls_scores[0].device.type == 'cpu'
        and head.use_sigmoid_cls
        and type(head.bbox_coder) is DeltaXYWHBBoxCoder
        and type(head.prior_generator) is AnchorGenerator
        and not head.prior_generator.use_box_type
        and suppression.keys() == {'type', 'iou_threshold'}
        and suppression['type'] == 'nms'
        and 0 < cfg['nms_pre'] * len(cls_scores) < SPLIT
        and cfg['max_per_img'] > 0
    )


def _propose_single(
    head: RPNHead, cls_scores: Sequence[Tensor], bbox_preds: Sequence[Tensor], meta: dict, cfg: dict, rescale: bool
) -> InstanceData:
    parts = []
    for level, (logits, maps) in enumerate(zip(cls_scores, bbox_preds, strict=True)):
        anchors, *size = logits.shape
        scores, places = highest(logits.permute(1, 2, 0).reshape(-1).sigmoid(), cfg['nms_pre'])
        deltas = maps.reshape(anchors, 4, -1)[places % anchors, :, places // anchors]
        priors = head.prior_generator.sparse_priors(places, size, level, logits.dtype, logits.device)
        parts.append((deltas, priors, scores, torch.full_like(places, level)))
    deltas, priors, scores, levels = (torch.cat(values) for values in zip(*parts, strict=True))
    boxes: Any = head.bbox_coder.decode(priors, deltas, max_shape=meta['img_shape'])
    if rescale:
        boxes = scale_boxes(boxes, tuple(1 / factor for factor in meta['scale_factor']))
    if cfg.get('min_bbox_size', -1) >= 0:
        kept = (boxes[:, 2:] - boxes[:, :2] > cfg['min_bbox_size']).all(1)
        if not kept.all():
            boxes, scores, levels = boxes[kept], scores[kept], levels[kept]
    kept = _suppress(boxes, scores, levels, cfg['nms']['iou_threshold'], cfg['max_per_img'])
    # mmdet's labels are no whole numbers if there is no box.
    labels = scores.new_zeros(len(kept), dtype=torch.long if len(boxes) else scores.dtype)
    return InstanceData(bboxes=boxes[kept], scores=scores[kept], labels=labels)


def highest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the first of `scores.sort(descending=True)`, and their places.

    The tensor is returned as it is, with all of its places, if it has no more of them.

    Args:
        scores: Scores, (scores,).
        count: How many to return.

    Example:
        >>> highest(torch.tensor([0.2, 0.9, 0.5, 0.8]), 3)
        (tensor([0.9000, 0.8000, 0.5000]), tensor([1, 3, 2]))
    """
    if len(scores) <= count:
        return scores, torch.arange(len(scores), device=scores.device)
    places = (scores >= scores.topk(count, sorted=False).values.min()).nonzero().squeeze(1)
    ranked, order = scores[places].sort(descending=True)
    if len(ranked) == count and (ranked[1:] < ranked[:-1]).all():
        return ranked, places[order]
    # PyTorch's order of equal scores, and of NaN, depends on all that is sorted.
    ranked, places = scores.sort(descending=True)
    return ranked[:count], places[:count]


def _suppress(boxes: Tensor, scores: Tensor, levels: Tensor, iou_threshold: float, count: int) -> Tensor:
    """Return the places of the boxes that `batched_nms` keeps first.

    Whether a box is kept depends on those of higher scores only, so the lower ones are left out while enough are kept.
    """
    if not len(boxes):
        return torch.arange(0, device=boxes.device)
    apart = boxes + (levels.to(boxes) * (boxes.max() + 1))[:, None]
    ranked, order = scores.sort(descending=True, stable=True)
    for some in (AMPLE * count, len(order)):
        _, kept = nms(apart[order[:some]], ranked[:some], iou_threshold)
        if len(kept) >= count:
            break
    return order[kept[:count]]


def classify(
    self: BBoxHead,
    roi: Tensor,
    cls_score: Tensor,
    bbox_pred: Tensor,
    img_meta: dict,
    rescale: bool = False,
    rcnn_test_cfg: ConfigDict | None = None,
) -> InstanceData:
    """Return the detections of `BBoxHead._predict_by_feat_single`, bit for bit.

    It decodes the boxes of those classes only whose score is above the threshold.

    Args:
        self: The head.
        roi: Regions, (regions, 5), the image's number first.
        cls_score: Logits, (regions, classes + 1).
        bbox_pred: Deltas, (regions, 4 * classes), or (regions, 4) if they are of all classes.
        img_meta: The image's shape and scale.
        rescale: Whether the boxes are those of the original image.
        rcnn_test_cfg: Thresholds and the number of detections; None for boxes and scores of all regions.
    """
    if (
        roi.device.type != 'cpu'
        or rcnn_test_cfg is None
        or self.custom_cls_channels
        or not len(roi)
        or cls_score is None
        or bbox_pred is None
        or type(self.bbox_coder) is not DeltaXYWHBBoxCoder
    ):
        return mmdet_classify(self, roi, cls_score, bbox_pred, img_meta, rescale, rcnn_test_cfg)
    scores = cls_score.softmax(-1)[:, :-1]
    region, label = (scores > rcnn_test_cfg['score_thr']).nonzero(as_tuple=True)
    deltas = bbox_pred.reshape(len(roi), -1, 4)[region, 0 if self.reg_class_agnostic else label]
    boxes: Any = self.bbox_coder.decode(roi[region, 1:], deltas, max_shape=img_meta['img_shape'])
    if rescale:
        boxes = scale_boxes(boxes, tuple(1 / factor for factor in img_meta['scale_factor']))
    found, kept = torch.cat([boxes, scores[region, label][:, None]], 1), torch.arange(len(region))
    if len(region):
        found, kept = batched_nms(boxes, scores[region, label], label, rcnn_test_cfg['nms'])
    most = rcnn_test_cfg['max_per_img']
    found, kept = (found[:most], kept[:most]) if most > 0 else (found, kept)
    return InstanceData(bboxes=found[:, :4], scores=found[:, 4], labels=label[kept])
