"""What GRN needs between the kernels, on a value for each image and channel."""

import torch
from torch import Tensor


def grn_response(squares: Tensor, grn_weight: Tensor, eps: float) -> Tensor:
    """Return what GRN multiplies each channel of an image by, (N, D), of the sums of squares."""
    norm = squares.sqrt()
    return 1 + grn_weight * norm / (norm.mean(-1, keepdim=True) + eps)


def grn_response_backward(gradient: Tensor, squares: Tensor, grn_weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the gradient of GRN's weight, and what an activation times it is its gradient through the norm."""
    norm = squares.sqrt()
    mean = norm.mean(-1, keepdim=True) + eps
    weight_gradient = (gradient * norm / mean).sum(0)
    through = gradient * grn_weight
    norm_gradient = through / mean - (through * norm).mean(-1, keepdim=True) / mean.square()
    return weight_gradient, torch.where(norm > 0, norm_gradient / norm, 0.0)
