"""Deformable attention with a number of points for each map."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableAttention(nn.Module):
    """Attention of boxes to a few points in and around them, on every map.

    mmcv's operator has the same number of points on every map, and only bilinear sampling.

    Args:
        dims: Width of the queries, and channels of the maps.
        num_heads: How many heads.
        num_points: How many points a head looks at on each map.
        sampling: 'bilinear' for a value between four cells, or 'discrete' for that of one cell.
        project: Whether values and output have projections, as RT-DETR's, which D-FINE leaves out.

    Reference:
        `Deformable DETR <https://arxiv.org/abs/2010.04159>`_, with the changes of
        `RT-DETRv2 <https://arxiv.org/abs/2407.17140>`_ and `D-FINE <https://arxiv.org/abs/2410.13842>`_

    Example:
        >>> attend = DeformableAttention(16, num_heads=4, num_points=[3, 6])
        >>> boxes = torch.rand(2, 5, 4)
        >>> attend(torch.rand(2, 5, 16), boxes, torch.rand(2, 4 * 6 + 2 * 3, 16), [(4, 6), (2, 3)]).shape
        torch.Size([2, 5, 16])
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        num_points: Sequence[int],
        sampling: str = 'bilinear',
        project: bool = True,
    ) -> None:
        super().__init__()
        self.num_heads, self.num_points, self.sampling = num_heads, list(num_points), sampling
        self.sampling_offsets = nn.Linear(dims, num_heads * sum(num_points) * 2)
        self.attention_weights = nn.Linear(dims, num_heads * sum(num_points))
        self.value_proj = nn.Linear(dims, dims) if project else nn.Identity()
        self.output_proj = nn.Linear(dims, dims) if project else nn.Identity()
        # An offset of 1 for each of a map's points is half of the box.
        scale = torch.tensor([0.5 / count for count in num_points for _ in range(count)])
        self.register_buffer('offset_scale', scale[:, None], persistent=False)
        self._reset()

    def _reset(self) -> None:
        """Point each head in a direction of its own, farther with each point."""
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        distances = torch.cat([torch.arange(1.0, count + 1) for count in self.num_points])
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((directions[:, None] * distances[:, None]).flatten())
        for weights in (self.sampling_offsets.weight, self.attention_weights.weight, self.attention_weights.bias):
            nn.init.zeros_(weights)
        for projection in (self.value_proj, self.output_proj):
            if isinstance(projection, nn.Linear):
                nn.init.xavier_uniform_(projection.weight)
                nn.init.zeros_(projection.bias)

    def forward(self, queries: Tensor, boxes: Tensor, memory: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Return what the queries found.

        Args:
            queries: With their positions, (N, Q, dims).
            boxes: Centers, widths and heights as shares of the image, (N, Q, 4).
            memory: The cells of all maps, one map after another, (N, S, dims).
            sizes: Height and width of each map.
        """
        shape = (*queries.shape[:2], self.num_heads, sum(self.num_points))
        offsets = self.sampling_offsets(queries).view(*shape, 2)
        weights = self.attention_weights(queries).view(shape).softmax(-1)
        centers, extents = boxes[:, :, None, None].split(2, -1)
        locations = centers + offsets * self.offset_scale * extents
        values = self.value_proj(memory).unflatten(-1, (self.num_heads, -1))
        return self.output_proj(sample(values, sizes, locations, weights, self.num_points, self.sampling))


def sample(
    values: Tensor,
    sizes: Sequence[tuple[int, int]],
    locations: Tensor,
    weights: Tensor,
    num_points: Sequence[int],
    sampling: str = 'bilinear',
) -> Tensor:
    """Return weighted sums of the maps' values at points, (N, Q, heads * channels).

    Args:
        values: The cells of all maps, one map after another, (N, S, heads, channels).
        sizes: Height and width of each map.
        locations: (x, y) as shares of the image, (N, Q, heads, P, 2), the first map's points first.
        weights: (N, Q, heads, P).
        num_points: How many of the points lie on each map.
        sampling: 'bilinear' or 'discrete'.

    Example:
        >>> values = torch.tensor([1.0, 2.0, 3.0, 5.0]).view(1, 4, 1, 1)
        >>> locations = torch.tensor([[0.25, 0.25], [0.5, 0.5]]).view(1, 1, 1, 2, 2)
        >>> sample(values, [(2, 2)], locations, torch.tensor([1.0, 10.0]).view(1, 1, 1, 2), [2]).item()
        28.5
    """
    maps = values.permute(0, 2, 3, 1).flatten(0, 1).split([height * width for height, width in sizes], -1)
    points = locations.transpose(1, 2).flatten(0, 1).split(list(num_points), 2)
    # Half precision has too few digits for places in a large map.
    found = [
        _at_points(fmap.unflatten(-1, size).float(), point.float(), sampling)
        for fmap, size, point in zip(maps, sizes, points, strict=True)
    ]
    weights = weights.transpose(1, 2).flatten(0, 1)[:, None]
    summed = (torch.cat(found, -1) * weights).sum(-1)
    return summed.view(values.shape[0], -1, summed.shape[-1]).transpose(1, 2).to(values.dtype)


def _at_points(fmap: Tensor, points: Tensor, sampling: str) -> Tensor:
    """Return the values of a map (M, C, H, W) at points (M, Q, P, 2): (M, C, Q, P)."""
    if sampling == 'bilinear':
        return F.grid_sample(fmap, 2 * points - 1, align_corners=False)
    height, width = fmap.shape[-2:]
    columns = (points[..., 0] * width + 0.5).long().clamp(0, width - 1)
    rows = (points[..., 1] * height + 0.5).long().clamp(0, height - 1)
    cells = (rows * width + columns).flatten(1)[:, None].expand(-1, fmap.shape[1], -1)
    return fmap.flatten(2).gather(2, cells).unflatten(2, points.shape[1:3])
