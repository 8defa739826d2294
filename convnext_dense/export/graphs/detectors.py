"""Whole detectors: images in, boxes out."""

import torch
from torch import Tensor, nn

from convnext_dense.export.graphs.dense_head import DenseHead
from convnext_dense.export.graphs.images import Images
from convnext_dense.export.graphs.pasting import paste
from convnext_dense.export.graphs.two_stage import RegionHead
from convnext_dense.export.operators.suppression import NO_SCORE

# The label of a row that holds no object.
NO_LABEL = -1


class Detector(nn.Module):
    """A one-stage or two-stage detector of mmdet.

    Args:
        model: The detector.
        pastes: Whether masks are those of the image, and not of their boxes.
    """

    def __init__(self, model: nn.Module, pastes: bool = False) -> None:
        super().__init__()
        preprocessor = model.data_preprocessor
        self.images = Images(preprocessor, preprocessor.pad_size_divisor, preprocessor.pad_value)
        self.model = model
        self.is_two_stage = hasattr(model, 'roi_head')
        self.first = DenseHead(model.rpn_head if self.is_two_stage else model.bbox_head)
        self.second = RegionHead(model.roi_head) if self.is_two_stage else None
        self.pastes = pastes

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return boxes in pixels with shape (N, most, 4), scores and labels with shape (N, most), and masks, if any.

        The best come first. Rows that hold no object have a score of 0 and the label -1.

        Args:
            images: With shape (N, H, W, C).
        """
        size = images.shape[1:3]
        features = self.model.extract_feat(self.images(images))
        boxes, scores, labels = self.first(features, size)
        masks = ()
        if self.second is not None:
            boxes, scores, labels, *masks = self.second(features, boxes, scores, size)
        if masks and self.pastes:
            masks = (paste(masks[0], boxes, size) >= self.second.config.mask_thr_binary,)
        is_object = scores > NO_SCORE
        return boxes, scores.clamp(min=0), torch.where(is_object, labels, NO_LABEL), *masks
