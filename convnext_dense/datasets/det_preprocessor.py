"""A detector's data preprocessor for images of any number of channels."""

from collections.abc import Sequence
from typing import cast

import torch
from mmdet.models import DetDataPreprocessor as MMDetDataPreprocessor

from convnext_dense.datasets.batch_in_place import BatchInPlace
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
        if mean is not None and std is not None:
            self._enable_normalize = True
            for name, values in (('mean', mean), ('std', std)):
                self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), False)
