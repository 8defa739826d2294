"""Windows that slide over an image, as mmseg's `EncoderDecoder` places them, all at once."""

import torch
from torch import Tensor


class Windows:
    """Where windows lie in images of a size.

    Args:
        size: Height and width of the images, in pixels.
        crop: Those of a window. Smaller images have smaller windows.
        stride: How far a window is from the next one, down and to the right.
    """

    def __init__(self, size: tuple[int, int], crop: tuple[int, int], stride: tuple[int, int]) -> None:
        self.size = size
        self.rows, self.columns = (_places(*sizes) for sizes in zip(size, crop, stride, strict=True))

    def split(self, images: Tensor) -> Tensor:
        """Return the windows of images, with shape (N * windows, C, height, width).

        Args:
            images: With shape (N, C, H, W).

        Example:
            >>> Windows((4, 6), (4, 4), (2, 2)).split(torch.rand(2, 3, 4, 6)).shape
            torch.Size([4, 3, 4, 4])
        """
        count, channels = images.shape[:2]
        parts = images.index_select(2, self.rows.flatten()).index_select(3, self.columns.flatten())
        parts = parts.reshape(count, channels, *self.rows.shape, *self.columns.shape)
        return parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, self.rows.shape[1], self.columns.shape[1])

    def merge(self, parts: Tensor, count: int) -> Tensor:
        """Return the mean of what windows have at each pixel, with shape (N, C, H, W).

        Args:
            parts: What each window has, with shape (N * windows, C, height, width).
            count: How many images there are, N.

        Example:
            >>> windows, images = Windows((4, 6), (4, 4), (2, 2)), torch.rand(2, 3, 4, 6)
            >>> torch.testing.assert_close(windows.merge(windows.split(images), 2), images)
        """
        channels = parts.shape[1]
        (down, height), (across, width) = self.rows.shape, self.columns.shape
        parts = parts.reshape(count, down, across, channels, height, width).permute(0, 3, 1, 4, 2, 5)
        rows = parts.reshape(count, channels, down * height, across * width)
        whole = parts.new_zeros(count, channels, self.size[0], across * width).index_add(2, self.rows.flatten(), rows)
        whole = parts.new_zeros(count, channels, *self.size).index_add(3, self.columns.flatten(), whole)
        return whole / (self._counts(self.rows, 0)[:, None] * self._counts(self.columns, 1)).to(whole.dtype)

    def _counts(self, places: Tensor, axis: int) -> Tensor:
        """Return how many windows have each row or column."""
        ones = torch.ones(places.numel(), device=places.device)
        return torch.zeros(self.size[axis], device=places.device).index_add(0, places.flatten(), ones)


def _places(length: int, crop: int, stride: int) -> Tensor:
    """Return the rows or columns of each window, with shape (windows, side)."""
    side = torch.sym_min(length, crop)
    count = (length - side + stride - 1) // stride + 1
    # The last one ends with the image.
    starts = (torch.arange(count) * stride).clamp(max=length - side)
    return starts[:, None] + torch.arange(side)
