"""Images of 16 bits in a PyTorch that cannot index them, such as 2.6."""

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor


def widen_uint16() -> None:
    """Make mmengine's data preprocessors take uint16 images as int32, if PyTorch cannot exchange their channels.

    Example:
        >>> widen_uint16()
        >>> BaseDataPreprocessor().cast_data(torch.ones(1, dtype=torch.uint16)).tolist()
        [1]
    """
    try:
        torch.zeros(1, dtype=torch.uint16)[[0]]
    except RuntimeError:
        original = BaseDataPreprocessor.cast_data

        def cast_data(self: BaseDataPreprocessor, data: object) -> object:
            # mmengine calls it for each tensor of a batch.
            cast = original(self, data)  # pyrefly: ignore[bad-argument-type]
            return cast.int() if isinstance(cast, Tensor) and cast.dtype == torch.uint16 else cast

        BaseDataPreprocessor.cast_data = cast_data  # pyrefly: ignore[bad-assignment]
