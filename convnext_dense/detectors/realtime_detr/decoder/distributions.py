"""D-FINE's boxes, whose edges are distributions over distances that are dense near zero."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import Perceptron
from convnext_dense.detectors.realtime_detr.predictions import to_centers, to_corners


def weighting_function(num_bins: int, up: Tensor, reg_scale: Tensor) -> Tensor:
    """Return the distances of the bins' edges: dense near zero, and two far ones at the ends.

    Args:
        num_bins: How many bins, an even number; they have `num_bins + 1` edges.
        up: The largest distance of the dense part, as a share of the box, (1,).
        reg_scale: How many units of distance a box's width and height have, (1,). The larger, the denser near zero.

    Reference:
        `D-FINE <https://arxiv.org/abs/2410.13842>`_, equation 6

    Example:
        >>> weighting_function(4, torch.tensor([0.5]), torch.tensor([4.0]))
        tensor([-4., -2.,  0.,  2.,  4.])
    """
    bound = up.abs() * reg_scale.abs()
    step = (bound + 1) ** (2 / (num_bins - 2))
    right = step ** torch.arange(1, num_bins // 2, device=up.device) - 1
    return torch.cat([-2 * bound, -right.flip(0), torch.zeros_like(bound), right, 2 * bound])


def integrate(edges: Tensor, distances: Tensor) -> Tensor:
    """Return the mean distance of each of the four edges.

    Args:
        edges: Logits of the distances, (..., 4 * D).
        distances: (D,).

    Example:
        >>> integrate(torch.zeros(1, 12), torch.tensor([-1.0, 0.0, 4.0]))
        tensor([[1., 1., 1., 1.]])
    """
    # Not a matrix product, which autocast computes in half precision.
    return (edges.unflatten(-1, (4, -1)).softmax(-1) * distances).sum(-1)


def move_edges(boxes: Tensor, distances: Tensor, reg_scale: Tensor) -> Tensor:
    """Return boxes whose edges were moved outwards.

    Args:
        boxes: Centers, widths and heights, (..., 4).
        distances: How far the left, top, right and bottom edge move, in units of width or height / `reg_scale`,
            (..., 4).
        reg_scale: (1,).

    Example:
        >>> move_edges(torch.tensor([4.0, 4.0, 4.0, 4.0]), torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([4.0]))
        tensor([3.5000, 4.0000, 5.0000, 4.0000])
    """
    scale = reg_scale.abs()
    centers, extents = boxes.split(2, -1)
    before, after = ((0.5 * scale + distance) * extents / scale for distance in distances.split(2, -1))
    return to_centers(torch.cat([centers - before, centers + after], -1))


def find_bins(
    boxes: Tensor, targets: Tensor, bin_distances: Tensor, reg_scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return between which distances the edges of targets lie, seen from boxes.

    Args:
        boxes: Centers, widths and heights, (N, 4).
        targets: Likewise.
        bin_distances: Distances of the bins' edges, (bins + 1,).
        reg_scale: (1,).

    Returns:
        The lower edge's index, and the weights of the lower and of the upper one, (N, 4) each.

    Example:
        >>> boxes, targets = torch.tensor([[4.0, 4, 4, 4]]), torch.tensor([[4.0, 4, 5, 4]])
        >>> find_bins(boxes, targets, torch.tensor([-4.0, -2, 0, 2, 4]), torch.tensor([4.0]))
        (tensor([[2, 2, 2, 2]]), tensor([[0.7500, 1.0000, 0.7500, 1.0000]]), tensor([[0.2500, 0.0000, 0.2500, 0.0000]]))
    """
    scale = reg_scale.abs()
    centers, extents = boxes.repeat(1, 2).view(-1, 2, 2, 2).unbind(2)
    outwards = (to_corners(targets).view(-1, 2, 2) - centers) * torch.tensor([[-1], [1]], device=boxes.device)
    distances = (outwards / (extents / scale + 1e-16) - 0.5 * scale).flatten(1)
    # A distance beyond the last bin belongs to its edge.
    distances = distances.clamp(bin_distances[0], bin_distances[-1])
    lower = (torch.searchsorted(bin_distances, distances, right=True) - 1).clamp(0, len(bin_distances) - 2)
    below, above = distances - bin_distances[lower], bin_distances[lower + 1] - distances
    upper_weight = below / (below + above)
    return lower, 1 - upper_weight, upper_weight


class LocationQuality(nn.Module):
    """D-FINE's estimator of how well a box is placed, which it tells from how narrow its distributions are.

    Args:
        hidden_dims: Width of its inner layer.
        num_values: How many of each edge's largest probabilities it looks at.

    Example:
        >>> LocationQuality()(torch.zeros(1, 5, 4 * 33)).shape
        torch.Size([1, 5, 1])
    """

    def __init__(self, hidden_dims: int = 64, num_values: int = 4) -> None:
        super().__init__()
        self.num_values = num_values
        self.reg_conf = Perceptron(4 * (num_values + 1), hidden_dims, 1, start_at_zero=True)

    def forward(self, edges: Tensor) -> Tensor:
        """Return what is added to the logits, (N, Q, 1), for distributions as logits, (N, Q, 4 * (bins + 1))."""
        top = F.softmax(edges.unflatten(-1, (4, -1)), -1).topk(self.num_values, -1).values
        return self.reg_conf(torch.cat([top, top.mean(-1, keepdim=True)], -1).flatten(2))
