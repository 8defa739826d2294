"""Masks that are drawn in their images only if someone asks for them."""

from collections.abc import Callable
from typing import Any

import torch
from mmdet.structures.mask import encode_mask_results
from torch import Tensor
from torch.utils._pytree import tree_map

from convnext_dense.evaluation.post_processing.run_lengths import Columns, columns_of

# What does not depend on the pixels.
KNOWN = {Tensor.shape.__get__, Tensor.dtype.__get__, Tensor.device.__get__, Tensor.ndim.__get__}
KNOWN |= {Tensor.size, Tensor.dim, Tensor.__len__}


class LateMasks(Tensor):
    """A tensor (masks, height, width) of bool that is made when it is first read.

    COCO's metric takes `encoded` from it and never reads it. Whatever else gets it finds a tensor.

    Args:
        columns: The masks within their boxes.
        height: The images' height in pixels.
        width: Their width.

    Example:
        >>> import numpy as np
        >>> masks = LateMasks(Columns(np.array([False, True, False]), np.array([[1, 0, 2, 1]]), np.array([1])), 1, 2)
        >>> masks.shape, masks.encoded()
        (torch.Size([1, 1, 2]), [{'size': [1, 2], 'counts': b'11'}])
        >>> masks.tolist()
        [[[False, True]]]
    """

    _columns: Columns
    _drawn: Tensor | None

    @staticmethod
    def __new__(cls: type['LateMasks'], columns: Columns, height: int, width: int) -> 'LateMasks':
        size = (len(columns.boxes), height, width)
        masks = Tensor._make_wrapper_subclass(cls, size, dtype=torch.bool)  # pyrefly: ignore[missing-attribute]
        masks._columns, masks._drawn = columns, None
        return masks

    def __init__(self, columns: Columns, height: int, width: int) -> None:
        """Do nothing: a tensor is made by `__new__`."""

    def encoded(self) -> list[dict]:
        """Return the masks as pycocotools encodes them."""
        return self._columns.encode(*self.shape[1:])

    @classmethod
    def __torch_function__(cls, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> Any:  # noqa: ANN401
        """Call a function with the masks drawn, unless it asks for what is known without."""
        if func not in KNOWN:
            args, kwargs = tree_map(_draw, args), tree_map(_draw, kwargs or {})
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # pyrefly: ignore[bad-override]
        cls, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:  # noqa: ANN401
        """Call an operator with the masks drawn."""
        return func(*tree_map(_draw, args), **tree_map(_draw, kwargs or {}))


def _draw(value: object) -> object:
    if not isinstance(value, LateMasks):
        return value
    known = value.__dict__
    if known['_drawn'] is None:
        known['_drawn'] = torch.from_numpy(known['_columns'].images(*value.shape[1:]))
    return known['_drawn']


def encode(masks: Tensor) -> list[dict]:
    """Return masks as run lengths, bit for bit as mmdet's `encode_mask_results` does.

    Args:
        masks: Masks of any device, (masks, height, width).

    Example:
        >>> encode(torch.eye(2, dtype=torch.bool)[None])
        [{'size': [2, 2], 'counts': b'0120'}]
    """
    if isinstance(masks, LateMasks):
        return masks.encoded()
    pixels = masks.detach().cpu().numpy()
    if pixels.dtype != bool:
        return encode_mask_results(pixels)
    return columns_of(pixels).encode(*pixels.shape[1:])
