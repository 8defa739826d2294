"""A detector's data preprocessor for images of any number of channels."""

from collections.abc import Sequence
from typing import cast

from mmdet.models import DetDataPreprocessor as MMDetDataPreprocessor

from convnext_dense.datasets.batch_in_place import BatchInPlace, normalize_by
from convnext_dense.registry import MODELS


@MODELS.register_module()
class DetDataPreprocessor(MMDetDataPreprocessor, BatchInPlace):
    """mmdet's DetDataPreprocessor, which takes 1 or 3 channels, for any number, and copies images less often.

    Args:
        mean: A value for each channel, or one for all; None to leave images as they are.
        std: Likewise.
        bgr_to_rgb: Whether to exchange the first and the third channel. Others stay where they are.
        rgb_to_bgr: The same.
        arguments: mmdet's.

    Example:
        >>> import torch
        >>> preprocess = DetDataPreprocessor(mean=[1, 2, 3, 4], std=[1, 1, 1, 2], bgr_to_rgb=True)
        >>> images = [torch.arange(4).view(4, 1, 1)]
        >>> preprocess(dict(inputs=images))['inputs'].flatten().tolist()
        [1.0, -1.0, -3.0, -0.5]
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **arguments: object,
    ) -> None:
        super().__init__(**cast(dict, arguments))
        self.exchange = bgr_to_rgb or rgb_to_bgr
        normalize_by(self, mean, std)
