"""Resizes each batch in training to a size drawn at random."""

import random
import sys

from mmdet.models import BatchSyncRandomResize
from mmdet.structures import DetDataSample
from mmengine.logging import MessageHub
from torch import Tensor

from convnext_dense.errors import UsageError
from convnext_dense.registry import MODELS


@MODELS.register_module()
class BatchRandomResize(BatchSyncRandomResize):
    """mmdet's BatchSyncRandomResize, where a batch's size follows from the step.

    So all processes have one size without asking each other, and a resumed run has the sizes of one without a stop. All
    runs have the same sizes, whatever their seed.

    Args:
        random_size_range: The smallest and the largest height in pixels; batches keep their ratio.
        size_divisor: Sizes are multiples of this many pixels.

    Raises:
        UsageError: If samples have masks, which mmdet leaves at their size.

    Example:
        >>> import torch
        >>> BatchRandomResize((64, 64))(torch.rand(2, 3, 32, 32), [])[0].shape
        torch.Size([2, 3, 64, 64])
    """

    def __init__(self, random_size_range: tuple[int, int], size_divisor: int = 32) -> None:
        # mmdet's own draws are never due.
        super().__init__(random_size_range, interval=sys.maxsize, size_divisor=size_divisor)

    def forward(self, inputs: Tensor, data_samples: list[DetDataSample]) -> tuple[Tensor, list[DetDataSample]]:
        """Return the resized batch, and its samples with their boxes.

        Args:
            inputs: The batch, (N, C, H, W).
            data_samples: mmdet's samples, which are changed.
        """
        if any('masks' in sample.gt_instances for sample in data_samples):
            raise UsageError(
                'model.data_preprocessor.batch_augments: BatchRandomResize resizes images and boxes, and no masks; '
                'leave it out for a model with masks.'
            )
        hub = MessageHub.get_current_instance()
        step = hub.get_info('iter') or 0
        hub.update_info('iter', step)
        height, width = inputs.shape[-2:]
        units = random.Random(step).randint(*self._random_size_range)
        self._input_size = (self._size_divisor * units, self._size_divisor * int(width / height * units))
        return super().forward(inputs, data_samples)
