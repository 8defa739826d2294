"""Write a trained model for other runtimes, and check it against PyTorch."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from convnext_dense.cli.arguments import at_least, not_empty
from convnext_dense.errors import RunError, UsageError

if TYPE_CHECKING:
    from convnext_dense.export.exporting import ExportOptions
    from convnext_dense.inference.model import Model

# As in `export.exporting`, which is not imported for them.
FORMATS = ('onnx', 'openvino', 'torch', 'tensorrt')
PARTS, MASKS, OUTPUTS = ('model', 'backbone'), ('boxes', 'image'), ('labels', 'scores')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        'model',
        type=not_empty,
        help='work directory of a training (its best checkpoint, or the last); a checkpoint of a training; name of a '
        'published model; or a config, followed by its checkpoint',
    )
    parser.add_argument('checkpoint', nargs='?', type=not_empty, help='checkpoint of a config')
    parser.add_argument(
        '--to',
        nargs='+',
        choices=FORMATS,
        default=['onnx'],
        metavar='FORMAT',
        help=f'{", ".join(FORMATS)} (default: onnx)',
    )
    parser.add_argument(
        '--out',
        type=not_empty,
        metavar='FILE',
        help='file to write; its suffix is that of the format (default: such as exports/MODEL.onnx or MODEL_int8.onnx)',
    )
    parser.add_argument('--part', choices=PARTS, default='model', help='the whole model, or its backbone alone')
    parser.add_argument(
        '--shape',
        nargs=2,
        type=at_least(32),
        metavar=('HEIGHT', 'WIDTH'),
        help='one size of the input in pixels, into which images are fitted (default: any size)',
    )
    parser.add_argument('--batch', type=at_least(1), metavar='N', help='number of images of the input (default: any)')
    parser.add_argument(
        '--masks',
        choices=MASKS,
        default='boxes',
        help="masks within their boxes (28 x 28), or of the input's size",
    )
    parser.add_argument(
        '--output', choices=OUTPUTS, default='labels', help="a segmenter's labels, or the probabilities of all classes"
    )
    parser.add_argument('--half', action='store_true', help='keep weights in 16 bits')
    parser.add_argument('--int8', action='store_true', help='compute in 8 bits; needs --calibrate')
    parser.add_argument(
        '--calibrate',
        nargs='+',
        type=not_empty,
        default=(),
        metavar='INPUT',
        help='images and folders for --int8',
    )
    parser.add_argument(
        '--check',
        nargs='+',
        type=not_empty,
        default=(),
        metavar='INPUT',
        help="images, folders or patterns on which the file is compared with PyTorch (default: 16 of the config's "
        'validation set)',
    )
    parser.add_argument(
        '--benchmark',
        nargs='*',
        type=not_empty,
        metavar='FILE',
        help='measure time, memory and the score on the validation set of PyTorch, of what is exported, and of other '
        'exported files',
    )


def run(args: argparse.Namespace) -> None:
    """Export, and say how far the files are off."""
    from convnext_dense.config.machine import check_output_file
    from convnext_dense.export.exporting import ExportOptions
    from convnext_dense.export.formats.tensorrt_file import check_tensorrt
    from convnext_dense.inference.exporting.export_model import default_file, export_model
    from convnext_dense.inference.find_model import find_model
    from convnext_dense.inference.inputs import image_inputs
    from convnext_dense.inference.model import Model

    shape = tuple(args.shape) if args.shape else None
    rest = (args.part, shape, args.batch, args.masks, args.output, args.half, args.int8)
    chosen = [ExportOptions(to, *rest) for to in args.to]
    # Before the model is built, which takes longer.
    for options in chosen:
        options.check()
    if args.int8 and not args.calibrate:
        raise UsageError('calibrate: int8 needs images that show which values there are; give some.')
    if args.calibrate and not args.int8:
        raise UsageError('calibrate: its images are for int8; give both, or neither.')
    if args.benchmark is not None and args.part == 'backbone':
        raise UsageError('benchmark: it is of a whole model.')
    if 'tensorrt' in args.to:
        check_tensorrt()
    check_output_file(args.out, 'out')
    places = [_place(args.out, options) for options in chosen]
    checked = _files(args.check)
    found = find_model(args.model, args.checkpoint)
    model = Model(found, 'cpu')
    places = [place or default_file(model, options) for place, options in zip(places, chosen, strict=True)]
    _check_benchmarked(args.benchmark or [], places)
    for image in image_inputs(checked):
        model.pipeline.load(image)
    if not checked and not found.is_foreign:
        checked = _validation_images(model)
    failed, files = [], []
    for options, place in zip(chosen, places, strict=True):
        file = export_model(model, place, list(args.calibrate), options)
        weights = [file.with_suffix('.bin')] if options.to == 'openvino' else []
        print(f'{file}: {sum(part.stat().st_size for part in (file, *weights)) / 1e6:.1f} MB')
        if options.to == 'tensorrt':
            continue
        files.append(file)
        is_right = (
            _check_features(model, file, options) if args.part == 'backbone' else _check(model, file, options, checked)
        )
        if not is_right:
            failed.append(str(file))
    if args.benchmark is not None:
        from convnext_dense.cli.running.export_benchmark import show_benchmark

        source = [args.model, *([args.checkpoint] if args.checkpoint else [])]
        show_benchmark(found, source, [*files, *map(Path, args.benchmark)], checked)
    if failed:
        raise RunError(f'{" and ".join(failed)} predict{"s" if len(failed) == 1 else ""} something else than PyTorch.')


def _place(out: str | None, options: 'ExportOptions') -> Path | None:
    """Return the file of a format: with its suffix, which may be given."""
    from convnext_dense.export.exporting import SUFFIXES

    if out is None:
        return None
    suffix, given = SUFFIXES[options.to], Path(out).suffix
    if given in SUFFIXES.values():
        return Path(out).with_suffix(suffix)
    # A name such as model-1.5 has no suffix.
    if given[1:].isalpha():
        raise UsageError(f'out: a file of {options.to} ends in {suffix}, not in {given}; got {out}.')
    return Path(out + suffix)


def _check_benchmarked(files: list[str], places: list[Path]) -> None:
    """Raise UsageError if a file to measure is not there, or is one that the export replaces."""
    from convnext_dense.export.exporting import SUFFIXES

    runnable = [suffix for to, suffix in SUFFIXES.items() if to != 'tensorrt']
    replaced = [place.resolve() for place in places]
    for file in map(Path, files):
        if not file.is_file() or file.suffix not in runnable:
            raise UsageError(f'benchmark: {file} is no exported model that is there ({", ".join(runnable)}).')
        if file.resolve() in replaced:
            raise UsageError(f'benchmark: this export replaces {file}; give another out.')


def _validation_images(model: 'Model') -> list[str]:
    from convnext_dense.inference.exporting.check import validation_images

    with model._scope():
        return validation_images(model.cfg)


def _check(model: 'Model', file: Path, options: 'ExportOptions', images: list[str]) -> bool:
    """Show how a file's results differ from PyTorch's, and return whether they are within the tolerance."""
    from convnext_dense.export.comparing import TOLERANCES
    from convnext_dense.inference.exporting.check import check_export, precision_of

    if not images:
        print(
            f'warning: {file} is not checked, because the validation set is not here; give images by --check.',
            file=sys.stderr,
        )
        return True
    difference = check_export(model, file, options, images)
    rows = difference.rows()
    width = max(len(name) for name, _ in rows)
    print('Compared with PyTorch:')
    print('\n'.join(f'  {name:<{width}}  {value}' for name, value in rows))
    return difference.is_within(TOLERANCES[precision_of(options)])


def _check_features(model: 'Model', file: Path, options: 'ExportOptions') -> bool:
    from convnext_dense.inference.exporting.check import FEATURE_TOLERANCES, check_features, precision_of

    difference, tolerance = check_features(model, file, options), FEATURE_TOLERANCES[precision_of(options)]
    print(f'Compared with PyTorch: features differ by {difference:.1e} of the largest; {tolerance:g} is allowed.')
    return difference <= tolerance


def _files(inputs: list[str]) -> list[str]:
    from convnext_dense.inference.inputs import image_files

    files = []
    for text in inputs:
        found = image_files(text)
        if found is None:
            raise UsageError(f'check: {text} names no image files.')
        files += found
    return files
