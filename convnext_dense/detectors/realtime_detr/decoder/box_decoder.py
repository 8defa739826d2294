"""RT-DETRv2's decoder, each of whose layers refines the boxes of the layer before."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import Perceptron
from convnext_dense.detectors.realtime_detr.decoder.layer import DecoderLayer
from convnext_dense.detectors.realtime_detr.predictions import Predictions, inverse_sigmoid


class BoxDecoderLayer(DecoderLayer):
    """RT-DETRv2's layer, which adds what the queries found.

    Args:
        dims: Width of the queries.
        arguments: The others of DecoderLayer.
    """

    def __init__(self, dims: int, *arguments: Any) -> None:  # noqa: ANN401 - of several kinds
        super().__init__(dims, *arguments)
        self.encoder_attn_layer_norm = nn.LayerNorm(dims)

    def _join(self, queries: Tensor, found: Tensor) -> Tensor:
        return self.encoder_attn_layer_norm(queries + found)


class BoxDecoder(nn.Module):
    """Layers that refine boxes, and their branches for classes and boxes.

    Args:
        num_classes: How many classes.
        dims: Width of the queries.
        num_layers: How many layers.
        num_heads: How many heads each layer's attentions have.
        num_points: How many points a head looks at on each map.
        feedforward_channels: Width of the perceptrons' inner layers.
        sampling: 'bilinear' or 'discrete'.
        num_test_layers: How many layers predict outside of training; all if None.

    Reference:
        `RT-DETRv2 <https://arxiv.org/abs/2407.17140>`_

    Example:
        >>> import torch
        >>> decoder = BoxDecoder(3, 16, num_layers=2, num_heads=4, num_points=[4], feedforward_channels=32)
        >>> predictions = decoder(torch.rand(2, 5, 16), torch.rand(2, 5, 4), torch.rand(2, 24, 16), [(4, 6)])
        >>> [tuple(each.boxes.shape) for each in predictions]
        [(2, 5, 4), (2, 5, 4)]
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
    ) -> None:
        super().__init__()
        self.num_test_layers = num_test_layers or num_layers
        self.layers = nn.ModuleList(
            BoxDecoderLayer(dims, num_heads, num_points, feedforward_channels, sampling) for _ in range(num_layers)
        )
        self.query_pos_head = Perceptron(4, 2 * dims, dims)
        self.cls_branches = nn.ModuleList(nn.Linear(dims, num_classes) for _ in range(num_layers))
        self.reg_branches = nn.ModuleList(
            Perceptron(dims, dims, dims, 4, start_at_zero=True) for _ in range(num_layers)
        )

    def forward(
        self,
        queries: Tensor,
        boxes: Tensor,
        memory: Tensor,
        sizes: Sequence[tuple[int, int]],
        mask: Tensor | None = None,
    ) -> list[Predictions]:
        """Return the predictions of each layer in training, and those of the last one else.

        Args:
            queries: (N, Q, dims).
            boxes: Where they start: centers, widths and heights as shares of the image, (N, Q, 4).
            memory: The cells of all maps, one map after another, (N, S, dims).
            sizes: Height and width of each map.
            mask: Which query attends to which, (Q, Q) of booleans; None if each does to all.
        """
        predictions = []
        num_layers = len(self.layers) if self.training else self.num_test_layers
        for i, layer in enumerate(islice(self.layers, num_layers)):
            queries = layer(queries, self.query_pos_head(boxes), boxes, memory, sizes, mask)
            refined = (self.reg_branches[i](queries) + inverse_sigmoid(boxes)).sigmoid()
            if self.training or i == num_layers - 1:
                predictions.append(Predictions(self.cls_branches[i](queries), refined))
            boxes = refined.detach()
        return predictions
