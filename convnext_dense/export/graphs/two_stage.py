"""Boxes and masks of two-stage detectors."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.boxes import check_suppression, keep_best, take
from convnext_dense.export.operators.pyramid_pooling import pool_regions


class RegionHead(nn.Module):
    """What mmdet's `StandardRoIHead` and `CascadeRoIHead` make of proposals: Faster, Mask and Cascade R-CNN.

    Args:
        head: The head.

    Raises:
        UsageError: If a part of it is of a kind whose form in ONNX is not known.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        check_kind(head, StandardRoIHead, CascadeRoIHead)
        if head.with_shared_head:
            raise UsageError('export: roi_head.shared_head has no known form in ONNX.')
        is_cascade = isinstance(head, CascadeRoIHead)
        self.head = head
        self.box_heads = list(head.bbox_head) if is_cascade else [head.bbox_head]
        self.box_pools = list(head.bbox_roi_extractor) if is_cascade else [head.bbox_roi_extractor]
        self.mask_heads, self.mask_pools = [], []
        if head.with_mask:
            self.mask_heads = list(head.mask_head) if is_cascade else [head.mask_head]
            pools = head.mask_roi_extractor
            self.mask_pools = list(pools) if is_cascade else [pools]
        for part in self.box_heads:
            if type(part)._predict_by_feat_single is not BBoxHead._predict_by_feat_single or not part.with_reg:
                raise UsageError(f'export: {type(part).__name__} makes boxes in a way whose ONNX form is not known.')
        for part in self.mask_heads:
            if type(part)._predict_by_feat_single is not FCNMaskHead._predict_by_feat_single:
                raise UsageError(f'export: {type(part).__name__} makes masks in a way whose ONNX form is not known.')
        for part in [*self.box_pools, *self.mask_pools]:
            check_kind(part, SingleRoIExtractor)
        self.config = head.test_cfg
        check_suppression(self.config.nms, 'test_cfg.rcnn.nms')

    def forward(
        self, features: Sequence[Tensor], proposals: Tensor, proposal_scores: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """Return boxes with shape (N, most, 4), scores and labels, and, of a head with masks, their probabilities.

        Args:
            features: The neck's feature maps.
            proposals: With shape (N, K, 4).
            proposal_scores: With shape (N, K).
            size: Height and width of the images, in pixels.
        """
        images, count = proposals.shape[:2]
        boxes, logits = proposals, []
        for head, pool in zip(self.box_heads[:-1], self.box_pools[:-1], strict=True):
            scores, deltas = head(pool_boxes(pool, features, boxes))
            logits.append(scores)
            if head.custom_activation:
                scores = head.loss_cls.get_activation(scores)
            labels = scores[:, :-1].argmax(1)
            boxes = head.regress_by_class(boxes.flatten(0, 1), labels, deltas, dict(img_shape=size))
            boxes = boxes.unflatten(0, (images, count))
        head = self.box_heads[-1]
        scores, deltas = head(pool_boxes(self.box_pools[-1], features, boxes))
        logits.append(scores)
        mean = sum(logits) / float(len(logits))
        scores = head.loss_cls.get_activation(mean) if head.custom_cls_channels else mean.softmax(-1)
        scores = scores[:, :-1]
        kinds = 1 if head.reg_class_agnostic else head.num_classes
        regions = boxes.flatten(0, 1)[:, None].expand(-1, kinds, -1).flatten(0, 1)
        boxes = head.bbox_coder.decode(regions, deltas.reshape(-1, head.bbox_coder.encode_size), max_shape=size)
        classes = head.num_classes
        boxes = boxes.reshape(images, count, kinds, 4).expand(-1, -1, classes, -1).flatten(1, 2)
        # What is no proposal makes no box.
        scores = torch.where(proposal_scores.flatten()[:, None] >= 0, scores, 0.0).reshape(images, -1)
        labels = torch.arange(classes, device=boxes.device).expand(images, count, -1).flatten(1)
        config = self.config
        scores, best = keep_best(boxes, scores, labels, config.nms, config.score_thr, config.max_per_img)
        boxes, labels = take(boxes, best), labels.gather(1, best)
        if not self.mask_heads:
            return boxes, scores, labels
        return boxes, scores, labels, self._masks(features, boxes, labels)

    def _masks(self, features: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """Return the probabilities of masks within their boxes, with shape (N, most, side, side)."""
        total = None
        for head, pool in zip(self.mask_heads, self.mask_pools, strict=True):
            masks = head(pool_boxes(pool, features, boxes))
            if head.class_agnostic:
                masks = masks[:, 0]
            else:
                masks = masks[torch.arange(masks.shape[0], device=masks.device), labels.flatten()]
            total = masks.sigmoid() if total is None else total + masks.sigmoid()
        return (total / len(self.mask_heads)).unflatten(0, boxes.shape[:2])


def pool_boxes(extractor: SingleRoIExtractor, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Return the features of boxes, with shape (N K, C, side, side).

    Args:
        extractor: mmdet's.
        features: The neck's feature maps, with shape (N, C, H_i, W_i).
        boxes: With shape (N, K, 4).
    """
    features = features[: extractor.num_inputs]
    images = torch.arange(boxes.shape[0], device=boxes.device, dtype=boxes.dtype)[:, None, None]
    regions = torch.cat([images.expand(-1, boxes.shape[1], 1), boxes], -1).flatten(0, 1)
    layer = extractor.roi_layers[0]
    return pool_regions(
        features,
        regions,
        extractor.map_roi_levels(regions, len(features)),
        [layer.spatial_scale for layer in extractor.roi_layers],
        layer.output_size[0],
        layer.sampling_ratio,
    )


def check_kind(part: nn.Module, *kinds: type) -> None:
    """Raise UsageError if a part of a model is of another class than those whose form in ONNX is known.

    Args:
        part: The part.
        kinds: The classes.
    """
    if type(part) not in kinds:
        known = ' or '.join(kind.__name__ for kind in kinds)
        raise UsageError(f'export: {type(part).__name__} has no known form in ONNX; there is one of {known}.')
