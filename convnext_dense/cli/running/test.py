"""Evaluate a checkpoint of a detector or a segmenter."""

import argparse

from convnext_dense.cli.arguments import (
    add_config,
    add_data,
    add_launcher,
    add_skip_check,
    add_speed_argument,
    check_data,
    check_work_dir,
    not_empty,
    parse_cfg_options,
)
from convnext_dense.config.find import find_config, is_model
from convnext_dense.config.machine import check_launcher
from convnext_dense.config.speed.switches import TEST_SWITCHES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_data(parser)
    parser.add_argument(
        'checkpoint',
        type=not_empty,
        nargs='?',
        help='checkpoint file, address, or published name; none if `config` is the work directory of a training (its '
        'best checkpoint, or the last), a checkpoint of one, or the name of a published model',
    )
    parser.add_argument('--work-dir', type=not_empty, help='folder for logs and metrics')
    parser.add_argument(
        '--out', type=not_empty, help='save predictions: a .pkl file for a detector, a folder for a segmenter'
    )
    parser.add_argument('--show-dir', type=not_empty, help='folder for drawn predictions')
    parser.add_argument('--tta', action='store_true', help='test with augmentation')
    add_speed_argument(parser, TEST_SWITCHES)
    add_skip_check(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluate."""
    if args.checkpoint and not is_model(args.config):
        find_config(args.config)
    check_data(args.data)
    check_work_dir(args.work_dir)
    check_launcher(args.launcher)
    from convnext_dense import config
    from convnext_dense.apis import test
    from convnext_dense.inference.find_model import tested_config

    options = parse_cfg_options(args.cfg_options)
    with tested_config(args.config, args.checkpoint) as (path, checkpoint, folder):
        cfg = config.load_config(
            path, args.work_dir or folder, options, args.launcher, data=args.data, boxes_to_masks=args.boxes_to_masks
        )
        if args.speed:
            config.enable_speed_in_testing(cfg, args.speed)
        test(cfg, checkpoint, args.out, args.show_dir, args.tta, args.skip_check)
