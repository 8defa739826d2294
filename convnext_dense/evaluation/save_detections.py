"""Saves a detector's predictions of a test in a pickle file."""

import pickle
from collections.abc import Sequence
from pathlib import Path

from mmdet.evaluation import DumpDetResults
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from convnext_dense.evaluation.output_files import write_whole


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
