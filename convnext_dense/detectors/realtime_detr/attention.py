"""Self-attention, the perceptrons, and the transformer layer of the hybrid encoder."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head self-attention that adds positions to queries and keys, and not to values.

    Args:
        dims: Width of the tokens.
        num_heads: How many heads.

    Example:
        >>> tokens = torch.rand(2, 5, 16)
        >>> SelfAttention(16, 4)(tokens, positions=torch.rand(1, 5, 16)).shape
        torch.Size([2, 5, 16])
    """

    def __init__(self, dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dims, dims)
        self.k_proj = nn.Linear(dims, dims)
        self.v_proj = nn.Linear(dims, dims)
        self.o_proj = nn.Linear(dims, dims)

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the attended tokens.

        Args:
            tokens: (N, T, dims).
            positions: Added to queries and keys, (N or 1, T, dims).
            mask: Which token attends to which, (T, T) of booleans; None if each does to all.
        """
        placed = tokens + positions
        query, key, value = (
            projection(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection, x in ((self.q_proj, placed), (self.k_proj, placed), (self.v_proj, tokens))
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.o_proj(attended.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Linear layers with an activation between them.

    Args:
        widths: The widths, from the input's to the output's.
        activation: What is between two layers.
        start_at_zero: Whether the output is zero until it is trained.

    Example:
        >>> Perceptron(8, 32, 4)(torch.rand(2, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(self, *widths: int, activation: type[nn.Module] = nn.ReLU, start_at_zero: bool = False) -> None:
        super().__init__()
        layers = [nn.Linear(before, after) for before, after in pairwise(widths)]
        if start_at_zero:
            nn.init.zeros_(layers[-1].weight)
            nn.init.zeros_(layers[-1].bias)
        self.layers = nn.ModuleList(layers)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for `x`, (..., widths[0])."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class EncoderLayer(nn.Module):
    """A transformer layer with norms behind its sums.

    Args:
        dims: Width of the tokens.
        num_heads: How many heads.
        feedforward_channels: Width of the perceptron's inner layer.

    Example:
        >>> EncoderLayer(16, 4, 32)(torch.rand(2, 5, 16), torch.rand(1, 5, 16)).shape
        torch.Size([2, 5, 16])
    """

    def __init__(self, dims: int, num_heads: int, feedforward_channels: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dims, num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(dims)
        self.mlp = Perceptron(dims, feedforward_channels, dims, activation=nn.GELU)
        self.final_layer_norm = nn.LayerNorm(dims)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return the tokens, (N, T, dims), after attention with `positions`, (1, T, dims)."""
        tokens = self.self_attn_layer_norm(tokens + self.self_attn(tokens, positions))
        return self.final_layer_norm(tokens + self.mlp(tokens))


def sine_positions(height: int, width: int, dims: int, device: torch.device | None = None) -> Tensor:
    """Return sines and cosines of the cells' rows and columns, (1, height * width, dims), row by row.

    Args:
        height: Rows.
        width: Columns.
        dims: How many values a cell has: a quarter each of sines and cosines of rows and of columns.
        device: Where the tensor is made.

    Example:
        >>> sine_positions(2, 3, 4)[0, 4]
        tensor([0.8415, 0.5403, 0.8415, 0.5403])
    """
    frequencies = 10000.0 ** -(torch.arange(dims // 4, dtype=torch.float32, device=device) / (dims // 4))
    rows, columns = (
        torch.arange(size, dtype=torch.float32, device=device)[:, None] * frequencies for size in (height, width)
    )
    rows = torch.cat([rows.sin(), rows.cos()], 1)[:, None].expand(-1, width, -1)
    columns = torch.cat([columns.sin(), columns.cos()], 1)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], -1).view(1, height * width, dims)
