"""The kernels of mmcv's SyncBatchNorm ('MMSyncBN'). mmcv sums over the processes between them.

Inputs are (N, C, S), with S pixels; statistics and parameters are (C,) in float32.
"""

import torch
from torch import Tensor


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Fill `mean` with this process's mean of each channel."""
    mean.copy_(input.float().mean((0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Fill `var` with this process's mean squared distance from `mean`, the mean over all processes."""
    var.copy_((input.float() - mean[:, None]).square().mean((0, 2)))


def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: Tensor | float,
    group_size: int,
) -> None:
    """Fill `norm`, `std` and `output`, and move the running statistics.

    Args:
        input: (N, C, S).
        mean: The mean over all processes.
        var: The variance over all processes.
        weight: The factor of each channel.
        bias: What is added to each channel.
        running_mean: Changed by `momentum`.
        running_var: Changed by `momentum`, towards the unbiased variance.
        norm: Filled with the normalized input, before `weight` and `bias`.
        std: Filled with the standard deviation.
        output: Filled with the output.
        eps: Added to the variance.
        momentum: The part of the running statistics that is replaced.
        group_size: The number of processes, each with N images.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((input.float() - mean[:, None]) / std[:, None])
    output.copy_(norm * weight[:, None] + bias[:, None])
    count = input.shape[0] * input.shape[2] * group_size
    unbiased = var * count / (count - 1) if count > 1 else var
    running_mean.copy_(torch.lerp(running_mean, mean, momentum))
    running_var.copy_(torch.lerp(running_var, unbiased, momentum))


def sync_bn_backward_param(grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor) -> None:
    """Fill this process's gradients of the weight and the bias."""
    grad = grad_output.float()
    grad_weight.copy_((grad * norm).sum((0, 2)))
    grad_bias.copy_(grad.sum((0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Fill `grad_input` (N, C, S), from the gradients of weight and bias that are averaged over all processes."""
    count = grad_output.shape[0] * grad_output.shape[2]
    through_statistics = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_(weight[:, None] * (grad_output.float() - through_statistics) / std[:, None])
