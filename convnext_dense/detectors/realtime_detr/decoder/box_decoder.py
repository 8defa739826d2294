"""RT-DETRv2's decoder, each of whose layers refines the boxes of the layer before."""

from collections.abc import Sequence

from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import Perceptron, SelfAttention
from convnext_dense.detectors.realtime_detr.decoder.deformable_attention import DeformableAttention
from convnext_dense.detectors.realtime_detr.predictions import Predictions, inverse_sigmoid


class BoxDecoderLayer(nn.Module):
    """Attention among the queries, attention of the queries to the maps, and a perceptron.

    Args:
        dims: Width of the queries.
        num_heads: How many heads both attentions have.
        num_points: How many points a head looks at on each map.
        feedforward_channels: Width of the perceptron's inner layer.
        sampling: 'bilinear' or 'discrete'.
    """

    def __init__(
        self, dims: int, num_heads: int, num_points: Sequence[int], feedforward_channels: int, sampling: str
    ) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dims, num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(dims)
        self.encoder_attn = DeformableAttention(dims, num_heads, num_points, sampling)
        self.encoder_attn_layer_norm = nn.LayerNorm(dims)
        self.mlp = Perceptron(dims, feedforward_channels, dims)
        self.final_layer_norm = nn.LayerNorm(dims)

    def forward(
        self,
        queries: Tensor,
        positions: Tensor,
        boxes: Tensor,
        memory: Tensor,
        sizes: Sequence[tuple[int, int]],
        mask: Tensor | None,
    ) -> Tensor:
        """Return the queries, (N, Q, dims); the arguments are those of `BoxDecoder.forward`."""
        queries = self.self_attn_layer_norm(queries + self.self_attn(queries, positions, mask))
        found = self.encoder_attn(queries + positions, boxes, memory, sizes)
        queries = self.encoder_attn_layer_norm(queries + found)
        return self.final_layer_norm(queries + self.mlp(queries))


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
    ) -> None:
        super().__init__()
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
        for i, layer in enumerate(self.layers):
            queries = layer(queries, self.query_pos_head(boxes), boxes, memory, sizes, mask)
            refined = (self.reg_branches[i](queries) + inverse_sigmoid(boxes)).sigmoid()
            if self.training or i == len(self.layers) - 1:
                predictions.append(Predictions(self.cls_branches[i](queries), refined))
            boxes = refined.detach()
        return predictions
