"""The masks of PSANet's point-wise spatial attention (https://hszhao.github.io/papers/eccv18_psanet.pdf)."""

import torch
from torch import Tensor

COLLECT = 0


def psamask_forward(
    input: Tensor,
    output: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Fill `output` (N, H * W, H, W) with each pixel's attention to all pixels, 0 where its mask does not reach.

    Args:
        input: (N, h_mask * w_mask, H, W), each pixel's mask, centered on it.
        output: The tensor to fill.
        psa_type: 0 collects: the channel is the pixel that is attended to. 1 distributes: the channel is the pixel
            whose mask it is.
        num_: N.
        h_feature: H.
        w_feature: W.
        h_mask: Rows of a mask.
        w_mask: Columns of a mask.
        half_h_mask: The row of the mask that lies on the pixel.
        half_w_mask: The column of the mask that lies on the pixel.
    """
    channel, reached = _channels(input, (h_mask, w_mask), (half_h_mask, half_w_mask))
    attention = input.gather(1, channel.expand(num_, -1, -1, -1)).masked_fill(~reached, 0)
    output.copy_(attention if psa_type == COLLECT else _swap_pixels(attention))


def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Fill `grad_input`; the other arguments are those of `psamask_forward`."""
    channel, reached = _channels(grad_input, (h_mask, w_mask), (half_h_mask, half_w_mask))
    grad = grad_output if psa_type == COLLECT else _swap_pixels(grad_output)
    grad_input.zero_().scatter_add_(1, channel.expand(num_, -1, -1, -1), grad.masked_fill(~reached, 0))


def _swap_pixels(attention: Tensor) -> Tensor:
    return attention.flatten(2).transpose(1, 2).reshape(attention.shape)


def _channels(masks: Tensor, size: tuple[int, int], center: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the channel of each pixel's mask that lies on each other pixel, and whether there is one.

    Both are (H * W, H, W): the pixel that is attended to, and the pixel whose mask it is.
    """
    y, x = (torch.arange(length, device=masks.device) for length in masks.shape[-2:])
    row = (y[:, None] - y + center[0])[:, None, :, None]
    column = (x[:, None] - x + center[1])[None, :, None, :]
    reached = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    channel = torch.where(reached, row * size[1] + column, 0)
    return channel.flatten(0, 1), reached.flatten(0, 1)
