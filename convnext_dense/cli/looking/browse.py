"""Draw what the model is fed: images after augmentation, with boxes, masks and label maps."""

import argparse

from convnext_dense.cli.arguments import (
    add_config,
    add_data,
    add_skip_check,
    at_least,
    check_data,
    check_work_dir,
    not_empty,
    parse_cfg_options,
)
from convnext_dense.config.find import find_config
from convnext_dense.config.machine import check_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_data(parser)
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train', help='which images')
    parser.add_argument('--count', type=at_least(1), metavar='N', default=24, help='how many images (default: 24)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='another seed draws other images in other ways')
    parser.add_argument(
        '--out', type=not_empty, metavar='DIR', help='folder of the pictures and the page (default: in the work dir)'
    )
    parser.add_argument('--work-dir', type=not_empty, help='folder of the run')
    add_skip_check(parser)


def run(args: argparse.Namespace) -> None:
    """Draw, and say where it is."""
    find_config(args.config)
    check_data(args.data)
    check_work_dir(args.work_dir)
    check_folder(args.out, 'out')
    from convnext_dense.apis import browse
    from convnext_dense.config import load_config

    options = parse_cfg_options(args.cfg_options)
    cfg = load_config(args.config, args.work_dir, options, data=args.data, boxes_to_masks=args.boxes_to_masks)
    browsed = browse(cfg, args.split, args.out, args.count, args.seed, args.skip_check)
    noun = 'image' if len(browsed.images) == 1 else 'images'
    print(f'{len(browsed.images)} {noun} of {browsed.total} in {args.split}.')
    print(f'Page: {browsed.page}')
    print(f'Contact sheets: {", ".join(str(sheet) for sheet in browsed.sheets)}')
    print(f'Images: {browsed.page.parent / "images"}/')
