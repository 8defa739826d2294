"""Segmenters of queries: images in, label maps out."""

from collections.abc import Sequence

import torch
from mmdet.models.layers import MSDeformAttnPixelDecoder
from mmseg.models.decode_heads import Mask2FormerHead
from torch import Tensor, nn
from torch.nn.functional import interpolate

from convnext_dense.export.graphs.queries.deformable_attention import join, place_centers, replace_attention
from convnext_dense.export.graphs.segmenter import Segmenter
from convnext_dense.export.graphs.two_stage import check_kind
from convnext_dense.export.operators.resizing import resize


class QuerySegmenter(Segmenter):
    """mmseg's Mask2Former.

    Args:
        model: The segmenter, whose pixel decoder is replaced.
        with_scores: Whether the scores of all classes are the result, and not the label of the highest.

    Raises:
        UsageError: If it has another head.
    """

    def __init__(self, model: nn.Module, with_scores: bool = False) -> None:
        head = model.decode_head
        check_kind(head, Mask2FormerHead)
        super().__init__(model, with_scores)
        check_kind(head.pixel_decoder, MSDeformAttnPixelDecoder, PixelDecoder)
        if not isinstance(head.pixel_decoder, PixelDecoder):
            replace_attention(head)
            head.pixel_decoder = PixelDecoder(head.pixel_decoder)

    def forward(self, images: Tensor, size: Tensor) -> Tensor:
        """Return the label of each pixel with shape (N, height, width), or scores, (N, classes, height, width).

        A score is the sum over queries of the class's probability times the mask's.

        Args:
            images: With shape (N, H, W, C).
            size: The height and width of the result, with shape (2,).
        """
        scores = resize(self.logits(images), size, bool(self.model.align_corners))
        if self.with_scores:
            return scores
        labels = scores.argmax(1)
        return labels.to(torch.uint8) if scores.shape[1] <= 256 else labels

    def _decode(self, inputs: Tensor) -> Tensor:
        classes, masks = self.model.decode_head(self.model.extract_feat(inputs), [])
        masks = interpolate(masks[-1], size=inputs.shape[2:], mode='bilinear', align_corners=False)
        # The sigmoid of ONNX Runtime is 0 below -18, where small scores still tell the classes apart.
        masks = 1 / (1 + torch.exp(-masks))
        return torch.einsum('bqc, bqhw->bchw', classes[-1].softmax(-1)[..., :-1], masks)


class PixelDecoder(nn.Module):
    """mmdet's `MSDeformAttnPixelDecoder`, for sizes that are numbers.

    Args:
        decoder: mmdet's, whose layers are taken.
    """

    def __init__(self, decoder: MSDeformAttnPixelDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the features of masks, and the maps that queries attend to, from the coarsest on.

        Args:
            maps: The backbone's feature maps, from the finest on, with shape (N, C_i, H_i, W_i).
        """
        decoder = self.decoder
        count = decoder.num_encoder_levels
        inputs = [conv(features) for conv, features in zip(decoder.input_convs, maps[::-1], strict=False)]
        sizes = [tuple(features.shape[2:]) for features in inputs]
        device = inputs[0].device
        positions = [
            decoder.postional_encoding(torch.zeros(1, *size, dtype=torch.bool, device=device)) + vector[:, None, None]
            for size, vector in zip(sizes, decoder.level_encoding.weight, strict=True)
        ]
        memory, positions = join(inputs), join(positions)
        points = torch.cat([place_centers(size, device) for size in sizes])[None, :, None].expand(-1, -1, count, -1)
        for layer in decoder.encoder.layers:
            memory = layer(memory, positions, None, reference_points=points, spatial_shapes=sizes)
        parts = memory.split([height * width for height, width in sizes], 1)
        outputs = [part.transpose(1, 2).unflatten(-1, size) for part, size in zip(parts, sizes, strict=True)]
        # From the coarsest of the other maps on.
        others = reversed(list(enumerate(maps[: len(maps) - count])))
        for i, features in others:
            lateral = decoder.lateral_convs[i](features)
            coarser = interpolate(outputs[-1], size=lateral.shape[-2:], mode='bilinear', align_corners=False)
            outputs.append(decoder.output_convs[i](lateral + coarser))
        return decoder.mask_feature(outputs[-1]), outputs[: decoder.num_outs]
