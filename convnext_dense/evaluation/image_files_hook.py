"""A hook that writes a file for each test image."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from convnext_dense.evaluation.output_files import OutputNames, image_paths


class ImageFilesHook(Hook):
    """Writes a file below a folder for each test image. Images of one name keep their folders.

    Args:
        folder: The folder.
        suffix: The files' suffix; by default the images' own.
    """

    def __init__(self, folder: str, suffix: str | None = None) -> None:
        # Hooks of the run may change the working directory.
        self.folder = Path(folder).absolute()
        self.suffix = suffix
        self.names = OutputNames([])

    def before_test(self, runner: Runner) -> None:
        """Name the files."""
        self.names = OutputNames(image_paths(runner.test_dataloader.dataset), self.suffix)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Write the files of a batch."""
        for sample in outputs or ():
            self.write(runner, batch_idx, sample, self.folder / self.names[sample.img_path])

    @abstractmethod
    def write(self, runner: Runner, batch_idx: int, sample: BaseDataElement, path: Path) -> None:
        """Write an image's file.

        Args:
            runner: The runner.
            batch_idx: The number of its batch.
            sample: Its predictions.
            path: The file.
        """
