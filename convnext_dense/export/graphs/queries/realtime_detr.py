"""Whole real-time DETRs: images in, boxes out."""

import torch
from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.detector import RealTimeDETR
from convnext_dense.detectors.realtime_detr.predictions import to_corners
from convnext_dense.export.graphs.boxes import take
from convnext_dense.export.graphs.images import Images
from convnext_dense.export.graphs.two_stage import check_kind


class RealTimeDetector(nn.Module):
    """This package's real-time DETRs.

    Args:
        model: The detector.

    Raises:
        UsageError: If it is another one.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_kind(model, RealTimeDETR)
        preprocessor = model.data_preprocessor
        self.images = Images(preprocessor, preprocessor.pad_size_divisor, preprocessor.pad_value)
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes in pixels with shape (N, most, 4), scores and labels with shape (N, most); the best come first.

        Args:
            images: With shape (N, H, W, C).
        """
        inputs = self.images(images)
        (height, width), (padded_height, padded_width) = images.shape[1:3], inputs.shape[2:]
        head = self.model.bbox_head
        predictions = head(self.model.extract_feat(inputs))[-1]
        most = min(head.max_per_image, head.num_queries * head.num_classes)
        scores, places = predictions.logits.sigmoid().flatten(1).topk(most)
        x1, y1, x2, y2 = to_corners(take(predictions.boxes, places // head.num_classes)).unbind(-1)
        columns = [(x * padded_width).clamp(0, width) for x in (x1, x2)]
        rows = [(y * padded_height).clamp(0, height) for y in (y1, y2)]
        boxes = torch.stack([columns[0], rows[0], columns[1], rows[1]], -1)
        return boxes, scores, places % head.num_classes
