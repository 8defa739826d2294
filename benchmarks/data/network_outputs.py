"""Puts what a network might give for an image in the place of a detector's network."""

import numpy as np
import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import DetDataSample
from torch import Tensor, nn
from torch.nn import functional

# Regions of an image on one of its objects, and elsewhere, that are of a class.
ON_OBJECTS, ELSEWHERE = 150, 150
SIDES = (6, 300)
# Probabilities of a region's class, from and to.
CONFIDENCE = (0.05, 0.95)
STRIDES = (4, 8, 16, 32, 64)
ANCHORS = 3


class PlannedOutputs:
    """Gives a two-stage detector of mmdet its maps, boxes and masks, without computing a network.

    Each image gets some hundred boxes near its objects and elsewhere, so that its test ends with as many detections as
    a trained model's. The same image gets the same outputs.

    Args:
        model: The detector, whose networks are replaced.
        objects: The boxes (x, y, width, height) and labels of each image's objects, by the image's id.

    Attributes:
        seconds: What was spent on making outputs since it was last set.
    """

    def __init__(self, model: TwoStageDetector, objects: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
        self.objects = objects
        self.classes = model.roi_head.bbox_head.num_classes
        self.coder = model.roi_head.bbox_head.bbox_coder
        self.maps: dict[tuple[int, int], tuple[list[Tensor], list[Tensor]]] = {}
        self.sample = DetDataSample()
        model.backbone = model.neck = nn.Identity()
        model.rpn_head.forward = self._maps  # pyrefly: ignore[bad-assignment]
        model.roi_head._bbox_forward = self._boxes  # pyrefly: ignore[bad-assignment]
        if model.with_mask:
            model.roi_head._mask_forward = self._masks  # pyrefly: ignore[bad-assignment]
            rows = torch.linspace(-1, 1, 28)
            ellipse = 4 - 5 * (rows[:, None] ** 2 + rows**2)
            noise = torch.randn(100, self.classes, 28, 28, generator=torch.Generator().manual_seed(0))
            self.masks = ellipse + noise

    def _maps(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        height, width = images.shape[-2:]
        if (height, width) not in self.maps:
            rng = torch.Generator().manual_seed(height * width)
            sizes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
            scores = [_smooth(ANCHORS, size, rng) * 2 - 4 for size in sizes]
            deltas = [torch.randn(1, 4 * ANCHORS, *size, generator=rng) * 0.2 for size in sizes]
            self.maps[height, width] = scores, deltas
        return self.maps[height, width]

    def _boxes(self, _features: object, rois: Tensor) -> dict:
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
        kinds = np.concatenate([labels[near], rng.integers(self.classes, size=ELSEWHERE)])
        count = min(len(found), len(rois))
        kinds, found = torch.from_numpy(kinds[:count]), torch.from_numpy(found[:count]).float()
        found *= found.new_tensor(self.sample.scale_factor).repeat(2)
        rows = torch.arange(count)
        scores = torch.full((len(rois), self.classes + 1), -6.0)
        scores[:, -1] = 3.0
        scores[:count, -1] = 0.0
        confidence = torch.from_numpy(rng.uniform(*CONFIDENCE, count)).float()
        scores[rows, kinds] = torch.logit(confidence)
        deltas = torch.zeros(len(rois), self.classes, 4)
        deltas[rows, kinds] = self.coder.encode(rois[:count, 1:], found)
        return dict(cls_score=scores, bbox_pred=deltas.flatten(1), bbox_feats=None)

    def _masks(self, _features: object, rois: Tensor) -> dict:
        return dict(mask_preds=self.masks[: len(rois)])


def _smooth(channels: int, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Return a map whose neighbors are alike, so that the best scores are next to one another, as a network's are."""
    coarse = torch.randn(1, channels, *(-(-side // 8) for side in size), generator=rng)
    fine = functional.interpolate(coarse, size, mode='bilinear', align_corners=True)
    return fine + torch.randn(fine.shape, generator=rng) * 0.2
