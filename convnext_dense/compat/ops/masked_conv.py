"""The two halves of mmcv's masked convolution, which computes only the pixels in a mask (guided anchoring)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Fill `col` (C * kernel_h * kernel_w, M) with the features that the kernel sees at each pixel of the mask.

    Args:
        im: (1, C, H, W) features.
        mask_h_idx: (M,), the rows of the mask's pixels.
        mask_w_idx: (M,), their columns.
        col: The tensor to fill.
        kernel_h: Kernel height.
        kernel_w: Kernel width.
        pad_h: Vertical padding.
        pad_w: Horizontal padding.
    """
    padded = F.pad(im[0], (pad_w, pad_w, pad_h, pad_h))
    y = mask_h_idx + torch.arange(kernel_h, device=im.device)[:, None, None]
    x = mask_w_idx + torch.arange(kernel_w, device=im.device)[:, None]
    col.copy_(padded[:, y, x].reshape(col.shape))


def masked_col2im_forward(
    col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, im: Tensor, height: int, width: int, channels: int
) -> None:
    """Put `col` (C, M) at the mask's pixels in `im` (1, C, height, width)."""
    im[0, :, mask_h_idx, mask_w_idx] = col.to(im.dtype)
