"""Puts what a network might give for an image in the place of a detector's network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.structures import DetDataSample
from torch import Tensor, nn
from torch.nn import functional

# Regions of an image on one of its objects, and elsewhere, that are of a class.
ON_OBJECTS, ELSEWHERE = 150, 150
SIDES = (6, 300)
# Probabilities of a region's class, from and to.
CONFIDENCE = (0.05, 0.95)
# Standard deviation and mean of the logits of proposals, and of RetinaNet's classes.
PROPOSAL_LOGITS, DENSE_LOGITS = (2.0, -4.0), (1.5, -7.0)
DETECTIONS = 100


class PlannedOutputs:
    """Gives Faster R-CNN, Mask R-CNN or RetinaNet its maps, boxes and masks, without computing a network.

    An image of the first two gets some hundred boxes near its objects and elsewhere, so that its test ends with as many
    detections as a trained model's. The same image gets the same outputs.

    Args:
        model: The detector, whose networks are replaced.
        objects: The boxes (x, y, width, height) and labels of each image's objects, by the image's id.

    Attributes:
        sample: The image that the next outputs are of.
    """

    def __init__(
        self, model: TwoStageDetector | SingleStageDetector, objects: dict[int, tuple[np.ndarray, np.ndarray]]
    ) -> None:
        self.objects = objects
        self.maps: dict[tuple[int, int], tuple[list[Tensor], list[Tensor]]] = {}
        self.sample = DetDataSample()
        self.last: dict[str, Any] | None = None
        model.backbone = model.neck = nn.Identity()
        is_dense = isinstance(model, SingleStageDetector)
        head, regions = (model.bbox_head, None) if is_dense else (model.rpn_head, model.roi_head)
        head.forward = self._maps
        self.strides = [stride[0] for stride in head.prior_generator.strides]
        self.anchors = head.num_base_priors
        self.channels = self.anchors * head.cls_out_channels
        self.logits = DENSE_LOGITS if is_dense else PROPOSAL_LOGITS
        if regions is None:
            return
        self.box_head = regions.bbox_head
        regions._bbox_forward = self._boxes
        if regions.with_mask:
            regions._mask_forward = self._masks
            rows = torch.linspace(-1, 1, 28)
            ellipse = 4 - 5 * (rows[:, None] ** 2 + rows**2)
            kinds = 1 if regions.mask_head.class_agnostic else regions.mask_head.num_classes
            noise = torch.randn(DETECTIONS, kinds, 28, 28, generator=torch.Generator().manual_seed(0))
            self.masks = ellipse + noise

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give the same outputs again, without making them, until the end of the block."""
        self.last = {}
        yield
        self.last = None

    def _maps(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        height, width = images.shape[-2:]
        if (height, width) not in self.maps:
            rng = torch.Generator().manual_seed(height * width)
            sizes = [(-(-height // stride), -(-width // stride)) for stride in self.strides]
            deviation, mean = self.logits
            scores = [_smooth(self.channels, size, rng).mul_(deviation).add_(mean) for size in sizes]
            deltas = [torch.randn(1, 4 * self.anchors, *size, generator=rng) * 0.1 for size in sizes]
            self.maps[height, width] = scores, deltas
        return self.maps[height, width]

    def _boxes(self, _features: object, rois: Tensor) -> dict:
        if self.last is None:
            return self._make_boxes(rois)
        if 'boxes' not in self.last:
            self.last['boxes'] = self._make_boxes(rois)
        return self.last['boxes']

    def _make_boxes(self, rois: Tensor) -> dict:
        image = self.sample.img_id
        rng = np.random.default_rng(image)
        boxes, labels = self.objects[image]
        height, width = self.sample.ori_shape
        sides = np.exp(rng.uniform(*np.log(SIDES), (ELSEWHERE, 2)))
        corners = rng.uniform(0, np.maximum([width, height] - sides, 1))
        near = rng.integers(len(boxes), size=ON_OBJECTS)
        on_objects = boxes[near] + rng.normal(0, 0.06, (ON_OBJECTS, 4)) * boxes[near][:, [2, 3, 2, 3]]
        found = np.concatenate([on_objects, np.concatenate([corners, sides], 1)])
        found[:, 2:] = found[:, :2] + found[:, 2:].clip(2)
        kinds = np.concatenate([labels[near], rng.integers(self.box_head.num_classes, size=ELSEWHERE)])
        count = min(len(found), len(rois))
        kinds, found = torch.from_numpy(kinds[:count]), torch.from_numpy(found[:count]).float()
        found *= found.new_tensor(self.sample.scale_factor).repeat(2)
        rows = torch.arange(count)
        classes = self.box_head.num_classes
        scores = torch.full((len(rois), classes + 1), -6.0)
        scores[:, -1] = 3.0
        scores[:count, -1] = 0.0
        confidence = torch.from_numpy(rng.uniform(*CONFIDENCE, count)).float()
        scores[rows, kinds] = torch.logit(confidence)
        is_agnostic = self.box_head.reg_class_agnostic
        deltas = torch.zeros(len(rois), 1 if is_agnostic else classes, 4)
        deltas[rows, 0 if is_agnostic else kinds] = self.box_head.bbox_coder.encode(rois[:count, 1:], found)
        return dict(cls_score=scores, bbox_pred=deltas.flatten(1), bbox_feats=None)

    def _masks(self, _features: object, rois: Tensor) -> dict:
        return dict(mask_preds=self.masks[: len(rois)])


def _smooth(channels: int, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Return a map whose neighbors are alike, so that the best scores are next to one another, as a network's are."""
    coarse = torch.randn(1, channels, *(-(-side // 8) for side in size), generator=rng)
    fine = functional.interpolate(coarse, size, mode='bilinear', align_corners=True)
    return fine + torch.randn(fine.shape, generator=rng) * 0.2
