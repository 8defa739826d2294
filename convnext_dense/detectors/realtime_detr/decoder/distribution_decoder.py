"""D-FINE's decoder, each of whose layers refines the distributions of the boxes' edges."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import Perceptron
from convnext_dense.detectors.realtime_detr.decoder.distributions import (
    LocationQuality,
    integrate,
    move_edges,
    weighting_function,
)
from convnext_dense.detectors.realtime_detr.decoder.layer import DecoderLayer
from convnext_dense.detectors.realtime_detr.predictions import Predictions, inverse_sigmoid


class Gate(nn.Module):
    """A sum of two inputs with weights that follow from both, and LayerNorm.

    Args:
        dims: Width of the inputs.

    Example:
        >>> Gate(8)(torch.rand(2, 5, 8), torch.rand(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * dims, 2 * dims)
        self.norm = nn.LayerNorm(dims)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the sum of two tensors (..., dims)."""
        weights = self.gate(torch.cat([first, second], -1)).sigmoid().chunk(2, -1)
        return self.norm(weights[0] * first + weights[1] * second)


class DistributionDecoderLayer(DecoderLayer):
    """D-FINE's layer, which takes in what the queries found by a gate, and finds it in the maps as they are.

    Args:
        dims: Width of the queries.
        arguments: The others of DecoderLayer.
    """

    def __init__(self, dims: int, *arguments: Any) -> None:  # noqa: ANN401 - of several kinds
        super().__init__(dims, *arguments, project=False)
        self.gateway = Gate(dims)

    def _join(self, queries: Tensor, found: Tensor) -> Tensor:
        return self.gateway(queries, found)

    def _limit(self, queries: Tensor) -> Tensor:
        return queries.clamp(-65504, 65504)


class DistributionDecoder(nn.Module):
    """Layers that refine distributions of the edges of boxes, and their branches.

    Args:
        num_classes: How many classes.
        dims: Width of the queries.
        num_layers: How many layers.
        num_heads: How many heads each layer's attentions have.
        num_points: How many points a head looks at on each map.
        feedforward_channels: Width of the perceptrons' inner layers.
        sampling: 'bilinear' or 'discrete'.
        num_test_layers: How many layers predict outside of training; all if None.
        num_bins: How many bins the distance of an edge is divided into, an even number.
        up: The largest distance of the dense bins, as a share of the box.
        reg_scale: How many units of distance a box's width and height have.

    Reference:
        `D-FINE <https://arxiv.org/abs/2410.13842>`_

    Example:
        >>> decoder = DistributionDecoder(3, 16, num_layers=2, num_heads=4, num_points=[4], feedforward_channels=32)
        >>> predictions = decoder(torch.rand(2, 5, 16), torch.rand(2, 5, 4), torch.rand(2, 24, 16), [(4, 6)])
        >>> [tuple(each.boxes.shape) for each in predictions], predictions[-1].edges.shape
        ([(2, 5, 4), (2, 5, 4), (2, 5, 4)], torch.Size([2, 5, 132]))
    """

    def __init__(
        self,
        num_classes: int,
        dims: int,
        num_layers: int,
        num_heads: int,
        num_points: Sequence[int],
        feedforward_channels: int,
        sampling: str = 'bilinear',
        num_test_layers: int | None = None,
        num_bins: int = 32,
        up: float = 0.5,
        reg_scale: float = 4.0,
    ) -> None:
        super().__init__()
        self.num_test_layers = num_test_layers or num_layers
        self.num_bins = num_bins
        self.layers = nn.ModuleList(
            DistributionDecoderLayer(dims, num_heads, num_points, feedforward_channels, sampling)
            for _ in range(num_layers)
        )
        self.query_pos_head = Perceptron(4, 2 * dims, dims)
        self.pre_bbox_head = Perceptron(dims, dims, dims, 4, start_at_zero=True)
        self.cls_branches = nn.ModuleList(nn.Linear(dims, num_classes) for _ in range(num_layers))
        self.reg_branches = nn.ModuleList(
            Perceptron(dims, dims, dims, 4 * (num_bins + 1), start_at_zero=True) for _ in range(num_layers)
        )
        self.lqe_layers = nn.ModuleList(LocationQuality() for _ in range(num_layers))
        self.up: Tensor
        self.reg_scale: Tensor
        self.register_buffer('up', torch.tensor([up]))
        self.register_buffer('reg_scale', torch.tensor([reg_scale]))

    @property
    def bins(self) -> tuple[Tensor, Tensor]:
        """The distances of the bins' edges, (num_bins + 1,), and `reg_scale`, (1,)."""
        return weighting_function(self.num_bins, self.up, self.reg_scale), self.reg_scale

    def forward(
        self,
        queries: Tensor,
        boxes: Tensor,
        memory: Tensor,
        sizes: Sequence[tuple[int, int]],
        mask: Tensor | None = None,
    ) -> list[Predictions]:
        """Return predictions: in training the first layer's boxes before refinement, then those of each layer.

        Otherwise, those of the last layer alone.

        Args:
            queries: (N, Q, dims).
            boxes: Where they start: centers, widths and heights as shares of the image, (N, Q, 4).
            memory: The cells of all maps, one map after another, (N, S, dims).
            sizes: Height and width of each map.
            mask: Which query attends to which, (Q, Q) of booleans; None if each does to all.
        """
        predictions: list[Predictions] = []
        distances, reg_scale = self.bins
        before, edges, initial_boxes = torch.zeros_like(queries), 0, boxes
        num_layers = len(self.layers) if self.training else self.num_test_layers
        for i, layer in enumerate(islice(self.layers, num_layers)):
            positions = self.query_pos_head(boxes).clamp(-10, 10)
            queries = layer(queries, positions, boxes, memory, sizes, mask)
            if i == 0:
                unrefined = (self.pre_bbox_head(queries) + inverse_sigmoid(boxes)).sigmoid()
                initial_boxes = unrefined.detach()
                if self.training:
                    predictions.append(Predictions(self.cls_branches[i](queries), unrefined))
            edges = self.reg_branches[i](queries + before).float() + edges
            refined = move_edges(initial_boxes, integrate(edges, distances), reg_scale)
            if self.training or i == num_layers - 1:
                logits = self.cls_branches[i](queries) + self.lqe_layers[i](edges)
                predictions.append(Predictions(logits, refined, edges, initial_boxes))
            boxes, before = refined.detach(), queries.detach()
        return predictions
