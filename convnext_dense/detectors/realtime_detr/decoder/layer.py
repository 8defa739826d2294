"""The decoder's layer, of which each head has its own kind."""

from collections.abc import Sequence

from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import Perceptron, SelfAttention
from convnext_dense.detectors.realtime_detr.decoder.deformable_attention import DeformableAttention


class DecoderLayer(nn.Module):
    """Attention among the queries, attention of the queries to the maps, and a perceptron.

    Args:
        dims: Width of the queries.
        num_heads: How many heads both attentions have.
        num_points: How many points a head looks at on each map.
        feedforward_channels: Width of the perceptron's inner layer.
        sampling: 'bilinear' or 'discrete'.
        project: Whether the attention to the maps projects their values and what it found.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        num_points: Sequence[int],
        feedforward_channels: int,
        sampling: str,
        project: bool = True,
    ) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dims, num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(dims)
        self.encoder_attn = DeformableAttention(dims, num_heads, num_points, sampling, project)
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
        queries = self._join(queries, self.encoder_attn(queries + positions, boxes, memory, sizes))
        return self.final_layer_norm(self._limit(queries + self.mlp(queries)))

    def _join(self, queries: Tensor, found: Tensor) -> Tensor:
        """Return the queries with what they found in the maps."""
        raise NotImplementedError

    def _limit(self, queries: Tensor) -> Tensor:
        """Return the queries as the last norm takes them."""
        return queries
