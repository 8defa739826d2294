"""Draws the predictions of a test into files."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import cv2
from mmengine.dist import utils
from mmengine.fileio import get
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from convnext_dense.datasets.images.picture import picture
from convnext_dense.evaluation.image_files_hook import ImageFilesHook
from convnext_dense.evaluation.output_files import write_whole


class DrawPredictionsHook(ImageFilesHook):
    """Draws each test image's predictions into a file below a folder. Images of one name keep their folders.

    mmdet's and mmseg's own hooks write images of one name over each other, and do not notice a full disk.

    Args:
        folder: The folder.
        suffix: The files' suffix; by default the images' own.
        score_thr: The least score of a detection that is drawn; None for a segmenter.
        backend_args: What reads the images.

    Raises:
        UsageError: If a file cannot be written.

    Example:
        >>> runner.register_hook(DrawPredictionsHook('drawn', score_thr=0.3))  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str,
        suffix: str | None = None,
        score_thr: float | None = None,
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(folder, suffix)
        self.options = {} if score_thr is None else dict(pred_score_thr=score_thr)
        self.backend_args = backend_args

    def write(self, runner: Runner, batch_idx: int, sample: BaseDataElement, path: Path) -> None:
        """Draw an image's predictions."""
        image = picture(get(sample.img_path, self.backend_args), sample.get('ori_shape'))
        if not cv2.haveImageWriter(path.name):
            path = path.with_name(f'{path.name}.png')
        with write_whole(path, 'show_dir') as file, _drawing_in_every_process():
            runner.visualizer.add_datasample(
                path.name, image, data_sample=sample, out_file=str(file), step=batch_idx, **self.options
            )


@contextmanager
def _drawing_in_every_process() -> Generator[None]:
    """Make a visualizer draw in every process of a test. mmengine's draws in the first alone, a part of the images."""
    original = utils.is_main_process
    utils.is_main_process = lambda group=None: True
    try:
        yield
    finally:
        utils.is_main_process = original
