"""A sheet of the same few images of a validation: truth and prediction next to each other."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from convnext_dense.datasets.images.picture import picture
from convnext_dense.evaluation.recording.record import ShownImage, ValidationRecord
from convnext_dense.evaluation.recording.shown_images import sample_indices
from convnext_dense.reports.run.pictures import predicted_view
from convnext_dense.visualization.drawing import Drawing
from convnext_dense.visualization.sheet import TILE, centered, make_sheet, make_tile


def validation_sheet(record: ValidationRecord, scores: Sequence[str] = ()) -> Image.Image | None:
    """Return the sheet; None if the validation has seen none of the images.

    Args:
        record: What the validation found. Of a dataset of one length, the images are the same in every validation.
        scores: Names of its metrics that are written above.

    Raises:
        OSError: If an image is no longer there.

    Example:
        >>> validation_sheet(read_record('work_dirs/my_run')).save('sheet.jpg')  # doctest: +SKIP
    """
    drawing = Drawing(record.classes, record.colors)
    chosen = sample_indices(record.images_in_all)
    shown = [image for image in record.shown if image.index in chosen]
    if not shown:
        return None
    measure = 'mean IoU' if record.arrays else 'F1'
    tiles = [tile for image in shown for tile in _tiles(drawing, image, measure)]
    known = [f'{name.rpartition("/")[2]} {record.metrics[name]:.4g}' for name in scores if name in record.metrics]
    return make_sheet(', '.join([record.place, *known]), tiles)


def _tiles(drawing: Drawing, image: ShownImage, measure: str) -> list[Image.Image]:
    pixels = picture(Path(image.file).read_bytes(), image.shape)
    views = [predicted_view(image, pixels, place) for place in range(2)]
    drawn = [drawing.draw(view, TILE) for view in views]
    height = max(part.height for part in drawn)
    name = '/'.join(Path(image.file).parts[-2:])
    score = f'prediction, {measure} {image.score:.0%}' if image.score >= 0 else 'prediction'
    return [
        make_tile(centered(part, height), name, remark, drawing.legend(view), 'nothing')
        for part, view, remark in zip(drawn, views, ('truth', score), strict=True)
    ]
