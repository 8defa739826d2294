"""GRN's arithmetic between the kernels, on one value per image and channel."""

from typing import NamedTuple

import torch
from torch import Tensor


class Grn(NamedTuple):
    """GRN in one forward pass, as its backward pass needs it.

    `scale`, (N, D), is what GRN multiplies each channel of an image by. `squares`, (N, D), has the sums of squares that
    it comes from.
    """

    scale: Tensor
    squares: Tensor
    weight: Tensor
    eps: float


def compute_grn(squares: Tensor, weight: Tensor, eps: float) -> Grn:
    """Return GRN for the sums of squares, (N, D), of each image's channels."""
    norm = _norm(squares)
    return Grn(1 + weight * norm / (norm.mean(-1, keepdim=True) + eps), squares, weight, eps)


def grn_backward(grad_scale: Tensor, grn: Grn) -> tuple[Tensor, Tensor]:
    """Return ``(grad_weight, slope)``. An activation's gradient through GRN's norm is ``activation * slope``."""
    norm = _norm(grn.squares)
    mean = norm.mean(-1, keepdim=True) + grn.eps
    grad_weight = (grad_scale * norm / mean).sum(0)
    grad_ratio = grad_scale * grn.weight
    grad_norm = grad_ratio / mean - (grad_ratio * norm).mean(-1, keepdim=True) / mean.square()
    return grad_weight, torch.where(norm > 0, grad_norm / norm, 0.0)


def _norm(squares: Tensor) -> Tensor:
    # Sums of squares beyond float32's range are infinite. The mean is of a sum of norms, which must not be so either.
    return squares.sqrt().clamp(max=torch.finfo(torch.float32).max / (2 * squares.shape[-1]))
