"""Draw what a backbone sees, next to others: its feature maps, and its effective receptive field."""

import argparse

from convnext_dense.cli.arguments import not_empty
from convnext_dense.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        'model', type=not_empty, help='a model as in predict, or a backbone, named as in train --backbone'
    )
    parser.add_argument(
        'inputs',
        nargs='*',
        type=not_empty,
        metavar='INPUT',
        help="image, folder (with its sub-folders), pattern such as 'photos/*.jpg', or address; a checkpoint (.pth) as "
        'the first one is that of the model before it; without any, the receptive fields are those in noise',
    )
    parser.add_argument(
        '--backbones',
        nargs='+',
        type=not_empty,
        default=[],
        metavar='NAME',
        help='other models and backbones, which are fed the same images and drawn below the first one',
    )
    parser.add_argument('--from-scratch', action='store_true', help='backbones by their names without weights')
    parser.add_argument(
        '--out', type=not_empty, metavar='DIR', help='folder to write to (default: explained/MODEL, by its name)'
    )
    parser.add_argument('--device', type=not_empty, help='such as cpu or cuda:1 (default: the GPU if there is one)')


def run(args: argparse.Namespace) -> None:
    """Draw, and print the figures."""
    from convnext_dense.config.machine import check_folder
    from convnext_dense.inference.explaining.explain import HEADER, explain, list_images
    from convnext_dense.inference.explaining.fed_backbone import is_backbone, load_fed_backbone
    from convnext_dense.inference.find_model import is_checkpoint
    from convnext_dense.reports.table import format_table

    checkpoint = args.inputs.pop(0) if args.inputs and is_checkpoint(args.inputs[0]) else None
    check_folder(args.out, 'out')
    names = [args.model, *args.backbones]
    if args.from_scratch and not any(map(is_backbone, names)):
        raise UsageError('from_scratch: it is for backbones by their names, and there is none.')
    # Before the models are built, which takes longer.
    list_images(args.inputs, args.out or 'explained')
    backbones = [
        load_fed_backbone(name, checkpoint if i == 0 else None, not args.from_scratch, args.device)
        for i, name in enumerate(names)
    ]
    explained = explain(backbones, args.inputs, args.out)
    for backbone in backbones:
        print(f'{backbone.name}: {backbone.weights}')
    print(f'\n{format_table(explained.rows, HEADER)}\n')
    print(f'Receptive fields are those in the middle of {explained.source}.')
    for what, place in explained.places.items():
        print(f'{what}: {place}')
