"""Draws the predictions of a test into files."""

from pathlib import Path

import numpy as np
from mmengine.fileio import get
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image

from convnext_dense.datasets.checked_loading import ignore_index
from convnext_dense.datasets.images.picture import picture
from convnext_dense.evaluation.image_files_hook import ImageFilesHook
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.evaluation.recording.record_validation_hook import classes_of
from convnext_dense.inference.samples import result_of
from convnext_dense.inference.saving.drawings import save_drawn
from convnext_dense.results.image_input import ImageInput
from convnext_dense.visualization.drawing import Drawing
from convnext_dense.visualization.fed_image import FedImage, fed_image
from convnext_dense.visualization.legend import with_legend
from convnext_dense.visualization.sheet import side_by_side


class DrawPredictionsHook(ImageFilesHook):
    """Draws each test image's predictions into a file below a folder, as `predict` does, next to the truth if the test
    has it. Images of one name keep their folders.

    Args:
        folder: The folder.
        suffix: The files' suffix; by default the images' own.
        score: The least score of an object that is drawn.
        backend_args: What reads the images.

    Raises:
        UsageError: If a file cannot be written.

    Example:
        >>> runner.register_hook(DrawPredictionsHook('drawn', score=0.3))  # doctest: +SKIP
    """

    def __init__(self, folder: str, suffix: str | None, score: float, backend_args: dict | None = None) -> None:
        super().__init__(folder, suffix)
        self.score, self.backend_args = score, backend_args

    def write(self, runner: Runner, batch_idx: int, sample: BaseDataElement, path: Path) -> None:
        """Draw an image's predictions."""
        pixels = picture(get(sample.img_path, self.backend_args), sample.get('ori_shape'))
        classes, colors = classes_of(runner.test_dataloader.dataset)
        found = result_of(sample, ImageInput(sample.img_path, path=sample.img_path), classes, colors)
        found = found.at_least(self.score)
        drawing, side = Drawing(classes, colors), found.drawn_side
        shown, truth = found.shown(pixels), _truth(runner, sample, pixels, len(classes))
        if truth is None:
            drawn = drawing.draw(shown, side, has_legend=True)
        else:
            pair = dict(truth=truth, prediction=shown)
            drawn = side_by_side({name: drawing.draw(view, side) for name, view in pair.items()})
            entries = [entry[:2] for view in pair.values() for entry in drawing.legend(view)]
            drawn = with_legend(drawn, [(color, name, '') for color, name in dict.fromkeys(entries)])
        kind = Image.registered_extensions().get(path.suffix.lower())
        if kind not in Image.SAVE:
            path, kind = path.with_name(f'{path.name}.png'), 'PNG'
        with write_whole(path, 'show_dir') as file:
            save_drawn(drawn, file) if kind == 'JPEG' else drawn.save(file, kind, compress_level=1)


def _truth(runner: Runner, sample: BaseDataElement, pixels: np.ndarray, classes: int) -> FedImage | None:
    """Return an image with its annotations; None if the test has none of it.

    With augmentation, they are those of its first view, which is flipped.
    """
    if sample.get('flip') or not ('gt_sem_seg' in sample or 'bboxes' in sample.get('gt_instances', ())):
        return None
    return fed_image(sample.cpu(), pixels, pixels.shape[-1], classes, ignore_index(runner.cfg, 'test'))
