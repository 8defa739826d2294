"""The sigmoid and softmax focal losses (https://arxiv.org/abs/1708.02002).

With p the probability of the target, FL(p) = -alpha * (1 - p) ** gamma * log(p).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from convnext_dense.compat.ops.precision import at_least_float32

# mmcv bounds its logarithms by the smallest normal float32.
LOG_FLOOR = math.log(torch.finfo(torch.float32).tiny)


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `output` (N, C) with each class's binary focal loss.

    Args:
        input: (N, C) logits.
        target: (N,) class indices; one outside 0 to C - 1 means background.
        weight: (C,) factors by the target's class, or empty for none. Background counts as 1.
        output: The tensor to fill.
        gamma: The focusing exponent.
        alpha: The factor of the positive class; the negative's is 1 - alpha.
    """
    logits, positive = at_least_float32(input), _one_hot(target, input.shape[1])
    p, not_p = logits.sigmoid(), (-logits).sigmoid()
    log_p, log_not_p = _log_sigmoid(logits), _log_sigmoid(-logits)
    positive_loss = -alpha * not_p**gamma * log_p
    negative_loss = -(1 - alpha) * p**gamma * log_not_p
    loss = torch.where(positive, positive_loss, negative_loss)
    output.copy_(loss * _weight_of(target, weight)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `grad_input` (N, C); the other arguments are those of `sigmoid_focal_loss_forward`."""
    logits, positive = at_least_float32(input), _one_hot(target, input.shape[1])
    p, not_p = logits.sigmoid(), (-logits).sigmoid()
    log_p, log_not_p = _log_sigmoid(logits), _log_sigmoid(-logits)
    positive_grad = -alpha * not_p**gamma * (not_p - gamma * p * log_p)
    negative_grad = -(1 - alpha) * p**gamma * (gamma * not_p * log_not_p - p)
    grad = torch.where(positive, positive_grad, negative_grad)
    grad_input.copy_(grad * _weight_of(target, weight)[:, None])


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `output` (N,) with each row's focal loss.

    Args:
        input: (N, C) probabilities: mmcv applies the softmax.
        target: (N,) class indices; a negative one is ignored.
        weight: (C,) factors by the target's class, or empty for none.
        output: The tensor to fill.
        gamma: The focusing exponent.
        alpha: The loss's factor.
    """
    p = _probability_of(target, input)
    loss = -alpha * (1 - p) ** gamma * _log(p)
    output.copy_(torch.where(target >= 0, loss * _weight_of(target, weight), 0))


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Fill `grad_input` (N, C), the gradient to the logits, and `buff` (N,), each row's factor in it.

    The other arguments are those of `softmax_focal_loss_forward`.
    """
    p = _probability_of(target, input)
    # Where p is 1 and gamma below 1 the second term is infinity times zero; its limit is zero.
    focus = torch.where(p < 1, gamma * (1 - p) ** (gamma - 1) * p * _log(p), 0)
    factor = alpha * (focus - (1 - p) ** gamma) * _weight_of(target, weight)
    factor = torch.where(target >= 0, factor, 0)
    buff.copy_(factor)
    grad_input.copy_(factor[:, None] * (_one_hot(target, input.shape[1]).float() - at_least_float32(input)))


def _one_hot(target: Tensor, classes: int) -> Tensor:
    return target[:, None] == torch.arange(classes, device=target.device)


def _probability_of(target: Tensor, probabilities: Tensor) -> Tensor:
    return at_least_float32(probabilities).gather(1, target.clamp(min=0)[:, None])[:, 0]


def _weight_of(target: Tensor, weight: Tensor) -> Tensor:
    if weight.numel() == 0:
        return target.new_ones(target.shape, dtype=torch.float32)
    known = (target >= 0) & (target < len(weight))
    return torch.where(known, at_least_float32(weight)[target.clamp(0, len(weight) - 1)], 1)


def _log(p: Tensor) -> Tensor:
    return p.log().clamp(min=LOG_FLOOR)


def _log_sigmoid(logits: Tensor) -> Tensor:
    return F.logsigmoid(logits).clamp(min=LOG_FLOOR)
