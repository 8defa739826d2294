"""Whole detectors of queries: images in, boxes out."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import DeformableDETRHead, DINOHead
from mmdet.models.detectors import DINO, DeformableDETR
from mmdet.models.layers import inverse_sigmoid
from torch import Tensor, nn

from convnext_dense.export.graphs.boxes import take
from convnext_dense.export.graphs.images import Images
from convnext_dense.export.graphs.queries.deformable_attention import join, replace_attention
from convnext_dense.export.graphs.two_stage import check_kind


class QueryDetector(nn.Module):
    """mmdet's DINO and Deformable DETR.

    Args:
        model: The detector, whose attention is replaced.

    Raises:
        UsageError: If it is another one.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_kind(model, DINO, DeformableDETR)
        check_kind(model.bbox_head, DINOHead, DeformableDETRHead)
        preprocessor = model.data_preprocessor
        self.images = Images(preprocessor, preprocessor.pad_size_divisor, preprocessor.pad_value)
        replace_attention(model)
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes in pixels with shape (N, most, 4), scores and labels with shape (N, most); the best come first.

        Args:
            images: With shape (N, H, W, C).
        """
        inputs = self.images(images)
        size, padded_size = images.shape[1:3], inputs.shape[2:]
        maps = self.model.extract_feat(inputs)
        levels = [Level(features.shape[2:], size, padded_size, features.device) for features in maps]
        # Without padding, no place is masked.
        mask = torch.cat([level.mask for level in levels])[None] if self.images.divisor > 1 else None
        ratios = torch.stack([level.ratio for level in levels])[None]
        sizes = [tuple(features.shape[2:]) for features in maps]
        memory = self._encode(maps, levels, mask, ratios, sizes)
        queries, starts = self._choose(memory, levels, mask)
        states, references = self.model.decoder(
            **queries,
            value=memory,
            key_padding_mask=mask,
            self_attn_mask=None,
            reference_points=starts,
            spatial_shapes=sizes,
            level_start_index=None,
            valid_ratios=ratios,
            reg_branches=self.model.bbox_head.reg_branches if self.model.with_box_refine else None,
        )
        if not isinstance(self.model, DINO):
            references = [starts, *references]
        return self._boxes(states[-1], references[len(states) - 1], size)

    def _encode(
        self, maps: Sequence[Tensor], levels: 'Sequence[Level]', mask: Tensor | None, ratios: Tensor, sizes: list
    ) -> Tensor:
        """Return what the encoder makes of the feature maps, with shape (N, places, C)."""
        positions = [
            self.model.positional_encoding(level.mask.unflatten(0, size)[None]) + vector[:, None, None]
            # mmdet keeps four vectors, also for fewer maps.
            for level, size, vector in zip(levels, sizes, self.model.level_embed[: len(levels)], strict=True)
        ]
        memory, positions = join(maps), join(positions)
        points = torch.cat([level.centers for level in levels])[None, :, None] * ratios[:, None]
        for layer in self.model.encoder.layers:
            memory = layer(memory, positions, mask, reference_points=points, spatial_shapes=sizes)
        return memory

    def _choose(
        self, memory: Tensor, levels: 'Sequence[Level]', mask: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the queries, and the boxes or points where they start."""
        model, images = self.model, memory.shape[0]
        if not model.as_two_stage:
            position, query = model.query_embedding.weight.expand(images, -1, -1).chunk(2, 2)
            return dict(query=query, query_pos=position), model.reference_points_fc(position).sigmoid()
        head, last = model.bbox_head, model.decoder.num_layers
        boxes = torch.cat([level.proposals(number) for number, level in enumerate(levels)])
        is_out = ~((boxes > 0.01) & (boxes < 0.99)).all(-1)
        if mask is not None:
            is_out = is_out | mask[0]
        is_out = is_out[:, None]
        boxes = torch.log(boxes / (1 - boxes)).masked_fill(is_out, float('inf'))
        memory = model.memory_trans_norm(model.memory_trans_fc(memory.masked_fill(is_out, 0.0)))
        logits = head.cls_branches[last](memory)
        logits = logits.amax(-1) if isinstance(model, DINO) else logits[..., 0]
        best = logits.topk(model.num_queries, 1).indices
        boxes = take(head.reg_branches[last](memory) + boxes, best)
        if isinstance(model, DINO):
            return dict(query=model.query_embedding.weight.expand(images, -1, -1)), boxes.sigmoid()
        embedded = model.pos_trans_norm(model.pos_trans_fc(model.get_proposal_pos_embed(boxes)))
        position, query = embedded.chunk(2, 2)
        return dict(query=query, query_pos=position), boxes.sigmoid()

    def _boxes(self, states: Tensor, references: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the boxes of the last layer's queries, as mmdet's head does."""
        head, last = self.model.bbox_head, self.model.decoder.num_layers - 1
        scores = head.cls_branches[last](states).sigmoid()
        classes = scores.shape[-1]
        scores, places = scores.flatten(1).topk(head.test_cfg.max_per_img)
        boxes, references = head.reg_branches[last](states), inverse_sigmoid(references)
        if references.shape[-1] == 2:
            boxes = torch.cat([boxes[..., :2] + references, boxes[..., 2:]], -1)
        else:
            boxes = boxes + references
        x, y, width, height = take(boxes.sigmoid(), places // classes).unbind(-1)
        corners = (x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height)
        ends = (size[1], size[0]) * 2
        boxes = torch.stack([(corner * end).clamp(0, end) for corner, end in zip(corners, ends, strict=True)], -1)
        return boxes, scores, places % classes


class Level:
    """The places of a feature map.

    Args:
        map_size: The map's height and width.
        size: The height and width of the images, in pixels.
        padded_size: The same with padding.
        device: Where tensors are made.

    Attributes:
        mask: True at places of padding, with shape (H_i W_i,).
        ratio: The shares of width and height that are no padding, with shape (2,).
        centers: The places' x and y, from 0 to 1 within the images, with shape (H_i W_i, 2).
    """

    def __init__(
        self, map_size: tuple[int, int], size: tuple[int, int], padded_size: tuple[int, int], device: torch.device
    ) -> None:
        masks, ratios, centers = [], [], []
        for places, pixels, padded in zip(map_size, size, padded_size, strict=True):
            numbers = torch.arange(places, device=device)
            # As interpolation takes the nearest pixel.
            is_padding = numbers * padded // places >= pixels
            valid = (~is_padding).sum().float()
            masks.append(is_padding)
            ratios.append(valid / places)
            centers.append((numbers + 0.5) / valid)
        self.mask = (masks[0][:, None] | masks[1]).flatten()
        self.ratio = torch.stack(ratios[::-1])
        rows, columns = torch.meshgrid(*centers, indexing='ij')
        self.centers = torch.stack([columns.flatten(), rows.flatten()], -1)

    def proposals(self, number: int) -> Tensor:
        """Return the box of each place, x, y, width and height from 0 to 1, with shape (H_i W_i, 4).

        Args:
            number: Which level it is.
        """
        return torch.cat([self.centers, torch.full_like(self.centers, 0.05 * 2.0**number)], -1)
