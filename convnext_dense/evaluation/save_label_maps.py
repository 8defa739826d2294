"""Saves a segmenter's predictions of a test as label maps."""

from pathlib import Path

import numpy as np
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image

from convnext_dense.evaluation.image_files_hook import ImageFilesHook
from convnext_dense.evaluation.output_files import write_whole


class SaveLabelMapsHook(ImageFilesHook):
    """Saves a segmenter's predictions as PNG maps, which count from 1 if the dataset reduces its zero label.

    Args:
        folder: The folder. Maps of images of one name keep their folders in it.

    Raises:
        UsageError: If a map cannot be written.

    Example:
        >>> runner.register_hook(SaveLabelMapsHook('maps'))  # doctest: +SKIP
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder, '.png')

    def write(self, runner: Runner, batch_idx: int, sample: BaseDataElement, path: Path) -> None:
        """Save an image's map."""
        labels = sample.pred_sem_seg.data.squeeze().cpu().numpy() + int(sample.get('reduce_zero_label') or 0)
        # Eight bits would cut label 256 to 0.
        labels = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
        with write_whole(path, 'out') as file:
            Image.fromarray(labels).save(file)
