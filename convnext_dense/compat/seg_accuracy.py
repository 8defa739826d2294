"""The accuracy that mmseg's heads log in each step, without a question to the GPU.

Importing this module gives it to mmseg's decode heads.
"""

from typing import Any

import torch
from mmseg.models.decode_heads import decode_head
from mmseg.models.losses import accuracy as mmseg_accuracy
from torch import Tensor

EPS = torch.finfo(torch.float32).eps


def accuracy(pred: Tensor, target: Tensor, *args: Any, ignore_index: int | None = None, **kwargs: Any) -> Any:  # noqa: ANN401 - mmseg's
    """Return the percentage of pixels whose class has the largest logit, as mmseg's function of this name does.

    mmseg's picks the pixels that count, whose number the GPU must tell.

    Args:
        pred: (N, classes, H, W) logits.
        target: (N, H, W) classes.
        *args, **kwargs: What mmseg's function takes; with any of them, it is called.
        ignore_index: The class of pixels that do not count.

    Example:
        >>> logits = torch.tensor([[[[0.1, 0.9]], [[0.9, 0.1]]]])
        >>> accuracy(logits, torch.tensor([[[1, 255]]]), ignore_index=255).item()
        100.0
    """
    # Metal has no float64.
    if args or kwargs or ignore_index is None or not len(pred) or pred.device.type == 'mps':
        return mmseg_accuracy(pred, target, *args, ignore_index=ignore_index, **kwargs)
    counts = target != ignore_index
    correct = (pred.topk(1, dim=1).indices.squeeze(1) == target) & counts
    # mmseg computes the factor in Python, so in float64, and multiplies in float32.
    factor = (100.0 / (counts.sum().double() + EPS)).float()
    return (correct.sum().float() + EPS).mul(factor).reshape(1)


decode_head.accuracy = accuracy
