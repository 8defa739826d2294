"""Draws what backbones see: their feature maps, and their receptive fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convnext_dense.config.load import file_name
from convnext_dense.config.machine import check_folder
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.inference.explaining.features import FeatureSheets
from convnext_dense.inference.explaining.fed_backbone import FedBackbone
from convnext_dense.inference.explaining.fields import PARTS, draw_fields, fields_of, sample
from convnext_dense.inference.inputs import image_files, image_inputs
from convnext_dense.inference.prediction import expand
from convnext_dense.inference.saving.drawings import save_drawn
from convnext_dense.inference.saving.names import SavedNames
from convnext_dense.inference.video.videos import is_video
from convnext_dense.results.image_input import ImageInput
from convnext_dense.wording import counted

FEATURES, FIELDS = 'features', 'receptive_fields.jpg'
HEADER = ('backbone', 'stage', 'stride', 'channels', '3 components', *(f'{100 * part:.0f} % in' for part in PARTS))


@dataclass(frozen=True)
class Explained:
    """What was drawn.

    Args:
        rows: For each stage of each backbone, its figures as texts, in the order of `HEADER`.
        source: What the receptive fields are the mean over.
        places: The folders and files that were written, by what they are.
    """

    rows: list[list[str]]
    source: str
    places: dict[str, Path]


def explain(backbones: Sequence[FedBackbone], inputs: Sequence[str] = (), out: str | Path | None = None) -> Explained:
    """Draw the feature maps of backbones, and their effective receptive fields next to each other.

    Args:
        backbones: The backbones, as `load_fed_backbone` returns them. Images are read as the first one is fed them, and
            normalized for each.
        inputs: Image files, folders, patterns and addresses. Without any, no feature maps are drawn, and the receptive
            fields are those in noise.
        out: The folder to write to. Defaults to ``explained/<name of the first>``.

    Raises:
        UsageError: If an image is not there or cannot be read, or a backbone cannot take it.

    Example:
        >>> from convnext_dense.inference.explaining.fed_backbone import load_fed_backbone
        >>> explain([load_fed_backbone('work_dirs/my_run')], ['photos']).places  # doctest: +SKIP
    """
    folder = Path(out or Path('explained', file_name(backbones[0].name)))
    check_folder(folder, 'out')
    images = list_images(inputs, folder)
    places = {}
    explained: list[list[str]] = [[] for _ in backbones]
    if images:
        sheets = FeatureSheets(backbones, images)
        names = SavedNames([image.path for image in images if image.path])
        for image, sheet in sheets.draw():
            path = folder / FEATURES / f'{names.stem(image)}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_whole(path, 'out') as partial:
                save_drawn(sheet, partial)
        places['Feature maps'] = folder / FEATURES
        explained = [[f'{100 * color.explained:.0f} %' for color in colors] for colors in sheets.colors]
    sampled = sample(images)
    source = _source(len(sampled), len(images))
    fields = [fields_of(backbone, backbones[0], sampled) for backbone in backbones]
    places['Receptive fields'] = folder / FIELDS
    folder.mkdir(parents=True, exist_ok=True)
    with write_whole(folder / FIELDS, 'out') as partial:
        save_drawn(draw_fields(backbones, fields, source), partial)
    rows = [
        [backbone.name, *field.stage.cells(), part, *field.sides()]
        for backbone, stages, parts in zip(backbones, fields, explained, strict=True)
        for field, part in zip(stages, parts or ['-'] * len(stages), strict=True)
    ]
    return Explained(rows, source, places)


def list_images(inputs: Sequence[str], out: str | Path) -> list[ImageInput]:
    """Return the images among inputs.

    Args:
        inputs: As in `explain`.
        out: The folder that is written to. What is in there is no input if it is a part of a folder or of a pattern.

    Raises:
        UsageError: If one is not there, or is a video.
    """
    for text in inputs:
        for video in filter(is_video, image_files(text) or [text]):
            raise UsageError(f'inputs: {video} is a video; give images.')
    return list(image_inputs(expand(inputs, Path(out))[0]))


def _source(count: int, total: int) -> str:
    if not total:
        return 'noise, as no image is given'
    images = counted(count, 'image')
    return f'{images} of {total}' if count < total else images
