"""Attention that samples feature maps of several sizes at points, in a form that has sizes as inputs."""

from collections.abc import Sequence

import torch
from mmcv.ops import MultiScaleDeformableAttention
from torch import Tensor, nn
from torch.nn.functional import grid_sample

# Heights and widths of feature maps.
Sizes = Sequence[tuple[int, int]]


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention (https://arxiv.org/abs/2010.04159), for sizes that are numbers.

    Args:
        attention: mmcv's, whose layers are taken.
    """

    def __init__(self, attention: MultiScaleDeformableAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self,
        query: Tensor,
        value: Tensor | None,
        query_pos: Tensor,
        reference_points: Tensor,
        spatial_shapes: Sizes,
        key_padding_mask: Tensor | None = None,
        **_: object,
    ) -> Tensor:
        """Return the queries with what they attend to, with shape (N, queries, C).

        Args:
            query: With shape (N, queries, C).
            value: The feature maps, one behind the other, with shape (N, places, C); None for the queries.
            query_pos: What is added to queries to find their points.
            reference_points: Points, or centers, widths and heights, from 0 to 1, with shape (N, queries, levels, 2)
                or (N, queries, levels, 4).
            spatial_shapes: The maps' sizes.
            key_padding_mask: True at places of no image, with shape (N, places).
        """
        attention = self.attention
        heads, levels, points = attention.num_heads, attention.num_levels, attention.num_points
        values = attention.value_proj(query if value is None else value)
        if key_padding_mask is not None:
            values = values.masked_fill(key_padding_mask[..., None], 0.0)
        placed = query + query_pos
        offsets = attention.sampling_offsets(placed).unflatten(-1, (heads, levels, points, 2))
        weights = attention.attention_weights(placed).unflatten(-1, (heads, levels * points)).softmax(-1)
        weights = weights.unflatten(-1, (levels, points))
        parts = values.split([height * width for height, width in spatial_shapes], 1)
        total = 0
        for level, (part, (height, width)) in enumerate(zip(parts, spatial_shapes, strict=True)):
            maps = part.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1).flatten(0, 1).unflatten(-1, (height, width))
            centers = reference_points[:, :, None, level, None, :]
            moves = offsets[:, :, :, level]
            if reference_points.shape[-1] == 4:
                grid = centers[..., :2] + moves / points * centers[..., 2:] * 0.5
            else:
                grid = centers + torch.stack([moves[..., 0] / width, moves[..., 1] / height], -1)
            grid = (2 * grid - 1).transpose(1, 2).flatten(0, 1)
            sampled = grid_sample(maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
            shares = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]
            total = total + (sampled * shares).sum(-1)
        found = total.unflatten(0, (-1, heads)).flatten(1, 2).transpose(1, 2)
        return attention.output_proj(found) + query


def replace_attention(model: nn.Module) -> None:
    """Replace mmcv's multi-scale deformable attention in a model.

    Args:
        model: The model, which is changed.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, MultiScaleDeformableAttention) and not isinstance(module, DeformableAttention):
                setattr(module, name, DeformableAttention(child))


def join(maps: Sequence[Tensor]) -> Tensor:
    """Return the places of feature maps, one behind the other.

    Args:
        maps: With shape (N, C, H_i, W_i).

    Returns:
        With shape (N, places, C).
    """
    return torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)


def place_centers(size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the x and y of the places of a feature map, from 0 to 1, with shape (H W, 2).

    Args:
        size: The map's height and width.
        device: Where they are made.

    Example:
        >>> place_centers((1, 2), 'cpu')
        tensor([[0.2500, 0.5000],
                [0.7500, 0.5000]])
    """
    rows, columns = ((torch.arange(places, device=device) + 0.5) / places for places in size)
    rows, columns = torch.meshgrid(rows, columns, indexing='ij')
    return torch.stack([columns.flatten(), rows.flatten()], -1)
