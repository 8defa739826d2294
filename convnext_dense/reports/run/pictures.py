"""Images with the truth and what was found next to each other."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask

from convnext_dense.datasets.images.picture import picture
from convnext_dense.evaluation.recording.record import ShownImage, ValidationRecord
from convnext_dense.reports.browse_page import to_jpeg
from convnext_dense.reports.run.parts import swatch
from convnext_dense.visualization.drawing import Drawing
from convnext_dense.visualization.fed_image import FedImage, FedObject, resize

# The longer side of a drawn image, in pixels.
SIDE = 480
EACH = 4
# Untyped: its stubs know fewer forms.
rle: Any = mask


def picture_sections(record: ValidationRecord) -> str:
    """Return images of the validation: samples, the worst and the best.

    Args:
        record: What the validation found.
    """
    drawing = Drawing(record.classes, record.colors)
    by_score = sorted((image for image in record.shown if image.score >= 0), key=lambda image: image.score)
    extremes = by_score[:EACH] + by_score[EACH:][-EACH:]
    samples = [image for image in record.shown if image not in extremes] or record.shown[:EACH]
    parts = []
    for title, images in (
        ('Samples', samples[:EACH]),
        ('Worst images', by_score[:EACH]),
        ('Best images', by_score[EACH:][-EACH:][::-1]),
    ):
        if images:
            figures = ''.join(_figure(drawing, image) for image in images)
            parts.append(f'<h3>{title}</h3><div class="shots">{figures}</div>')
    if not parts:
        return ''
    what = 'mean IoU' if record.arrays else 'F1 score of boxes with a score of at least 0.3'
    note = f'<p class="faint">Truth to the left, prediction to the right; with the {what} of the image.</p>'
    return f'<h2>Predictions</h2>{note}{"".join(parts)}'


def _figure(drawing: Drawing, image: ShownImage) -> str:
    score = f', {100 * image.score:.0f} %' if image.score >= 0 else ', nothing to find'
    title = html.escape('/'.join(Path(image.file).parts[-2:]) + score)
    try:
        pixels = picture(Path(image.file).read_bytes(), image.shape)
    except OSError:
        return (
            f'<figure><figcaption>{title}: the image is no longer at {html.escape(image.file)}.</figcaption></figure>'
        )
    views = [predicted_view(image, pixels, place) for place in range(2)]
    drawn = [drawing.draw(view, SIDE) for view in views]
    # One without objects has no room for names.
    height = max(part.height for part in drawn)
    sources = [_embedded(ImageOps.pad(part, (part.width, height), color='white')) for part in drawn]
    legend = dict.fromkeys((name, color) for view in views for color, name, _ in drawing.legend(view))
    names = ''.join(f'<span>{swatch(name, color)}</span>' for name, color in legend)
    pair = ''.join(
        f'<div><img src="{source}" alt="{name} of {title}"><span>{name}</span></div>'
        for source, name in zip(sources, ('truth', 'prediction'), strict=True)
    )
    below = f'<div class="pair">{pair}</div><div class="legend">{names}</div>'
    return f'<figure><figcaption>{title}</figcaption>{below}</figure>'


def predicted_view(image: ShownImage, pixels: np.ndarray, place: int) -> FedImage:
    """Return an image with its truth, or with what was found.

    Args:
        image: The image.
        pixels: Its pixels, as RGB of 8 bits, with shape (height, width, 3).
        place: 0 for the truth, 1 for what was found.
    """
    if image.maps:
        label_map = resize(image.maps[place].astype(np.int32), (pixels.shape[1], pixels.shape[0]), is_smooth=False)
        return FedImage(image.file, pixels, label_map=label_map)
    parts: Sequence[dict] = (image.truth, image.found)[place]
    objects = [
        FedObject(
            tuple(part['box']),
            part['label'],
            _mask(part, pixels.shape),
            bool(part.get('is_ignored')),
            f'{part["score"]:.2f}' if 'score' in part else '',
        )
        for part in parts
    ]
    return FedImage(image.file, pixels, objects)


def _mask(part: dict, shape: tuple[int, ...]) -> np.ndarray | None:
    encoded = part.get('mask')
    return rle.decode(encoded).astype(bool) if encoded and tuple(encoded['size']) == shape[:2] else None


def _embedded(image: Image.Image) -> str:
    return f'data:image/jpeg;base64,{base64.b64encode(to_jpeg(image)).decode()}'
