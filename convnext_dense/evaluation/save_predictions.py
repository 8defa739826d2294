"""Saves the predictions of a test: a detector's in a pickle file, a segmenter's as label maps."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.evaluation import DumpDetResults
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image

from convnext_dense.evaluation.output_files import OutputNames, image_paths, write_whole


class _WholeDump(DumpDetResults):
    """Writes mmdet's pickle file whole or not at all."""

    default_prefix = 'dump'

    def compute_metrics(self, results: list) -> dict:
        """Write the predictions of all processes."""
        path = Path(self.out_file_path)
        with write_whole(path, 'out') as file:
            file.write_bytes(pickle.dumps(results))
        print_log(f'The predictions are in {path}.', logger='current')
        return {}


class SaveDetectionsHook(Hook):
    """Saves a detector's predictions in a pickle file, as mmdet's `DumpDetResults` does.

    Args:
        file: The file, ending in .pkl or .pickle.

    Raises:
        UsageError: If it cannot be written.

    Example:
        >>> runner.register_hook(SaveDetectionsHook('predictions.pkl'))  # doctest: +SKIP
    """

    def __init__(self, file: str) -> None:
        self.dump = _WholeDump(str(Path(file).absolute()))

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Keep a batch, and write all of them after the last: before they are scored, which may fail."""
        self.dump.process({}, [sample.to_dict() for sample in outputs or ()])
        if batch_idx + 1 == len(runner.test_dataloader):
            self.dump.evaluate(len(runner.test_dataloader.dataset))


class SaveLabelMapsHook(Hook):
    """Saves a segmenter's predictions as PNG maps, which count from 1 if the dataset reduces its zero label.

    Args:
        folder: The folder. Maps of images of one name keep their folders in it.

    Raises:
        UsageError: If a map cannot be written.

    Example:
        >>> runner.register_hook(SaveLabelMapsHook('maps'))  # doctest: +SKIP
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).absolute()
        self.names = OutputNames([])

    def before_test(self, runner: Runner) -> None:
        """Name the files."""
        self.names = OutputNames(image_paths(runner.test_dataloader.dataset), '.png')

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Save the maps of a batch."""
        for sample in outputs or ():
            labels = sample.pred_sem_seg.data.squeeze().cpu().numpy() + int(sample.get('reduce_zero_label') or 0)
            # Eight bits would cut label 256 to 0.
            labels = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
            with write_whole(self.folder / self.names[sample.img_path], 'out') as file:
                Image.fromarray(labels).save(file)
