"""Predict on images, folders and videos with a trained model, and save what is found."""

import argparse
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convnext_dense.cli.arguments import at_least, not_empty
from convnext_dense.errors import RunError, UsageError
from convnext_dense.wording import counted

if TYPE_CHECKING:
    from convnext_dense.inference.prediction import Predicted

# As in `inference.saving`, which is not imported for them.
KINDS = ('images', 'json', 'yolo', 'maps', 'crops')
SHOWN_CLASSES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        'model',
        type=not_empty,
        help='work directory of a training (its best checkpoint, or the last); a checkpoint of a training; name of a '
        'published model; or a config, followed by its checkpoint',
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        type=not_empty,
        metavar='INPUT',
        help="image, folder (with its sub-folders), pattern such as 'photos/*.jpg', address, video, or number of a "
        'webcam; a checkpoint (.pth) as the first one is that of the model before it',
    )
    parser.add_argument(
        '--out', type=not_empty, metavar='DIR', help='folder to write to (default: predictions/MODEL, by its name)'
    )
    parser.add_argument(
        '--save',
        nargs='+',
        choices=KINDS,
        metavar='KIND',
        help=f'what to save: {", ".join(KINDS)} (default: images, and json of a detector or maps of a segmenter)',
    )
    parser.add_argument('--score', type=float, help='least score of an object that is saved (default: 0.3)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='save objects of these classes alone')
    parser.add_argument(
        '--tile',
        type=at_least(1),
        metavar='PIXELS',
        help='predict on large images in tiles with sides of so many pixels, such as 1024, and merge what is found',
    )
    parser.add_argument(
        '--overlap', type=float, default=0.2, metavar='PART', help='which part of a tile the next one shares (0.2)'
    )
    parser.add_argument(
        '--batch-size', type=at_least(1), metavar='N', help='images at a time (default: 8 on a GPU, 1 on a CPU)'
    )
    parser.add_argument('--track', action='store_true', help='number the objects of videos, and follow them')
    parser.add_argument('--device', type=not_empty, help='such as cpu or cuda:1 (default: the GPU if there is one)')
    parser.add_argument('--half', action='store_true', help='compute in 16 bits on a GPU')


def run(args: argparse.Namespace) -> None:
    """Predict, and say what was found and where it is."""
    from convnext_dense.config.machine import check_folder
    from convnext_dense.inference.find_model import find_model, is_checkpoint
    from convnext_dense.inference.model import Model
    from convnext_dense.inference.prediction import check_options, expand, predict

    checkpoint = args.inputs.pop(0) if is_checkpoint(args.inputs[0]) else None
    if not args.inputs:
        raise UsageError(f'inputs: {checkpoint} is the checkpoint of the model; give images after it.')
    # Before the model is built, which takes longer.
    check_options(args.save, args.score, args.tile, args.overlap)
    check_folder(args.out, 'out')
    expand(args.inputs, Path(args.out or 'predictions'))
    model = Model(find_model(args.model, checkpoint), args.device, args.half)
    with _progress() as on_image:
        predicted = predict(
            model,
            args.inputs,
            args.out,
            args.save,
            args.score,
            args.classes,
            args.batch_size,
            args.tile,
            args.overlap,
            args.track,
            on_image,
        )
    print(_summary(predicted, model.checkpoint))
    if predicted.unreadable:
        for sentence in predicted.unreadable[:-1]:
            print(f'warning: {sentence}', file=sys.stderr)
        count = len(predicted.unreadable)
        images = f'{count} images cannot be read, and are' if count > 1 else 'an image cannot be read, and is'
        raise RunError(f'{images} left out: {predicted.unreadable[-1]}')


@contextmanager
def _progress() -> Generator[Callable[[int, int, str], None]]:
    """Show on a terminal how far it is. Elsewhere the summary is enough."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    name_column = TextColumn('{task.description}', table_column=Column(no_wrap=True, overflow='ellipsis'))
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), name_column)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task('', total=None)

        def on_image(done: int, total: int, name: str) -> None:
            # Names may have brackets, which are markup.
            progress.update(task, completed=done, total=total or None, description=name.replace('[', r'\['))

        yield on_image


def _summary(predicted: 'Predicted', checkpoint: str) -> str:
    images = counted(predicted.images, 'image')
    lines = [f'Model: {checkpoint}']
    if predicted.score is None:
        lines.append(f'{images}.')
    else:
        total = sum(predicted.found.values())
        names = [f'{name} {count}' for name, count in predicted.found.items()]
        more = f' and {len(names) - SHOWN_CLASSES} more classes' if len(names) > SHOWN_CLASSES else ''
        found = f': {", ".join(names[:SHOWN_CLASSES])}{more}' if names else ''
        objects = f'{counted(total, "object")} of score {predicted.score:g} or more'
        lines.append(f'{images}, {objects}{found}.')
    return '\n'.join([*lines, *(f'{what}: {place}' for what, place in predicted.places.items())])
