"""Predicts on images, and saves what is found."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convnext_dense.config.machine import check_folder
from convnext_dense.errors import UsageError
from convnext_dense.inference.inputs import image_files, image_inputs
from convnext_dense.inference.model import Model
from convnext_dense.inference.saving.names import SavedNames
from convnext_dense.inference.saving.outputs import KINDS, Outputs
from convnext_dense.inference.tiling.tiles import check_tiles
from convnext_dense.inference.video.tracking import Tracker
from convnext_dense.inference.video.videos import describe_video, is_video
from convnext_dense.results.result import SCORE, check_classes

GPU_BATCH = 8


@dataclass(frozen=True)
class Predicted:
    """What was predicted.

    Args:
        images: How many images, or frames of videos.
        found: How many objects of each class, the most frequent first.
        places: The folders and files that were written, by what they are.
        score: The least score of an object; None if the model segments.
        unreadable: What is wrong with each image that could not be read.
    """

    images: int
    found: dict[str, int] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    score: float | None = None
    unreadable: list[str] = field(default_factory=list)


def predict(
    model: Model,
    inputs: Sequence[str],
    out: str | Path | None = None,
    save: Collection[str] | None = None,
    score: float | None = None,
    classes: Sequence[str] | None = None,
    batch_size: int | None = None,
    tile: int | None = None,
    overlap: float = 0.2,
    track: bool = False,
    on_image: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Predicted:
    """Predict on images and videos, and save what is found, as soon as it is.

    Args:
        model: As `load_model` returns it.
        inputs: Files, folders, patterns, addresses, videos, and numbers of webcams.
        out: The folder to write to. Defaults to ``predictions/<model's name>``.
        save: Which of 'images', 'json', 'yolo', 'maps' and 'crops' to save. Defaults to drawn images, and what holds
            all that is predicted: JSON of a detector, label maps of a segmenter.
        score: The least score of an object that is saved. Defaults to 0.3.
        classes: The names of the classes whose objects are saved. Defaults to all.
        batch_size: How many images of one size are predicted on at a time. Defaults to 8 on a GPU, and 1 on a CPU.
        tile: The side in pixels of tiles that large images are predicted on in.
        overlap: Which part of a tile the next one shares.
        track: Whether objects of videos get numbers, as by `Tracker`.
        on_image: Called after each image with how many are done, how many there are (0 if that is not known), and its
            name.

    Raises:
        UsageError: If an input is not there, none can be read, something cannot be written, or the model does not
            predict what is asked for.

    Example:
        >>> from convnext_dense import load_model
        >>> predict(load_model('work_dirs/my_run'), ['photos']).found  # doctest: +SKIP
        {'cat': 12, 'dog': 3}
    """
    folder = Path(out or Path('predictions', model.name))
    check_options(save, score, tile, overlap)
    check_folder(str(folder), 'out')
    check_classes(classes, model.classes)
    if not model.is_detector:
        for name, value in (('score', score), ('classes', classes), ('track', track)):
            if value not in (None, False):
                raise UsageError(f'{name}: it is of objects, and this model segments: each pixel has a class.')
    sources, total = expand(inputs, folder)
    least = SCORE if score is None else score
    tracker = Tracker(least) if track else None
    size = batch_size or (GPU_BATCH if model.device.type == 'cuda' else 1)
    unreadable: list[str] = []
    with Outputs(folder, model, SavedNames([s for s in sources if os.path.isfile(s)]), save, total) as outputs:
        for result in model.stream(
            image_inputs(sources), size, tile, overlap, lambda image, error: unreadable.append(str(error))
        ):
            followed = tracker.follow(result) if tracker else result
            outputs.add(followed.at_least(least, classes))
            on_image(outputs.count, total, result.image.name)
    if unreadable and not outputs.count:
        raise UsageError(unreadable[0])
    found = dict(outputs.found.most_common())
    return Predicted(outputs.count, found, outputs.places(), least if model.is_detector else None, unreadable)


def check_options(save: Collection[str] | None, score: float | None, tile: int | None, overlap: float) -> None:
    """Raise UsageError if an option of `predict` cannot be right, whatever the model.

    Args:
        save: As in `predict`, and so the others.
        score: The least score.
        tile: The side of tiles.
        overlap: Which part of a tile the next one shares.

    Example:
        >>> check_options(['png'], None, None, 0.2)
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: save: there is no 'png'; there are images, json, yolo, maps, crops.
    """
    unknown = [kind for kind in save or () if kind not in KINDS]
    if unknown:
        raise UsageError(f'save: there is no {unknown[0]!r}; there are {", ".join(KINDS)}.')
    if score is not None and not 0 <= score <= 1:
        raise UsageError(f'score: it must be from 0 to 1; got {score}.')
    check_tiles(tile, overlap)


def expand(inputs: Sequence[str], out: Path) -> tuple[list[str], int]:
    """Return all files, addresses and webcams among inputs once, and how many images they are; 0 if that is not known.

    Args:
        inputs: As in `predict`.
        out: The folder that is written to. What is in there is no input if it is a part of a folder or of a pattern.

    Raises:
        UsageError: If an input is not there.
    """
    sources: dict[str, None] = {}
    written = os.path.abspath(out)
    for text in inputs:
        files = image_files(text)
        others = [file for file in files or () if not os.path.abspath(file).startswith(written + os.sep)]
        if files and not others and files != [os.path.expanduser(text)]:
            raise UsageError(f'inputs: all images of {text} are in {out}, which is written to.')
        sources |= dict.fromkeys([text] if files is None else others or files)
    lengths = [describe_video(source).length if is_video(source) else 1 for source in sources]
    return list(sources), sum(lengths) if all(lengths) else 0
