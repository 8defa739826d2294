"""The precision that the operators compute in."""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 if it is of a lower precision: torchvision's kernels lack bf16 forms on CUDA."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
