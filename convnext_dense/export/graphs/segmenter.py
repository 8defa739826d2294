"""Whole segmenters: images in, label maps out."""

import torch
from torch import Tensor, nn

from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.images import Images
from convnext_dense.export.graphs.pooling import replace_pools
from convnext_dense.export.graphs.windows import Windows
from convnext_dense.export.operators.resizing import resize


class Segmenter(nn.Module):
    """mmseg's `EncoderDecoder` and `CascadeEncoderDecoder`.

    Args:
        model: The segmenter.
        with_scores: Whether the probabilities of all classes are the result, and not the label of the highest.
    """

    def __init__(self, model: nn.Module, with_scores: bool = False) -> None:
        super().__init__()
        preprocessor = model.data_preprocessor
        config = preprocessor.test_cfg or {}
        self.images = Images(preprocessor, config.get('size_divisor') or 1, preprocessor.pad_val)
        replace_pools(model)
        self.model = model
        if model.test_cfg.get('argmax_first'):
            raise UsageError('model.test_cfg.argmax_first: an exported model resizes logits; leave it out to export.')
        self.slides = model.test_cfg.get('mode', 'whole') == 'slide'
        self.with_scores = with_scores

    def forward(self, images: Tensor, size: Tensor) -> Tensor:
        """Return the label of each pixel with shape (N, height, width), or probabilities, (N, classes, height, width).

        Args:
            images: With shape (N, H, W, C).
            size: The height and width of the result, with shape (2,).
        """
        logits = self.logits(images)
        logits = resize(logits, size, bool(self.model.align_corners))
        if logits.shape[1] == 1:
            scores = logits.sigmoid()
            return scores if self.with_scores else (scores[:, 0] > self.model.decode_head.threshold).to(torch.uint8)
        if self.with_scores:
            return logits.softmax(1)
        labels = logits.argmax(1)
        return labels.to(torch.uint8) if logits.shape[1] <= 256 else labels

    def logits(self, images: Tensor) -> Tensor:
        """Return what the head gives each class at each pixel, with shape (N, classes, H, W)."""
        height, width = images.shape[1:3]
        inputs = self.images(images)
        if not self.slides:
            return self._decode(inputs)[..., :height, :width]
        config = self.model.test_cfg
        windows = Windows(inputs.shape[2:], config.crop_size, config.stride)
        logits = self._decode(windows.split(inputs))
        return windows.merge(logits, inputs.shape[0])[..., :height, :width]

    def _decode(self, inputs: Tensor) -> Tensor:
        size = inputs.shape[2:]
        return self.model.encode_decode(inputs, [dict(img_shape=size, ori_shape=size, pad_shape=size)])
