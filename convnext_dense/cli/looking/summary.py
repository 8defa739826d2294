"""Summarize a config's model: stages, costs, memory of a training, and the learning rate of every part."""

import argparse

from convnext_dense.cli.arguments import (
    add_config,
    add_data,
    add_shape_argument,
    check_data,
    not_empty,
    parse_cfg_options,
)
from convnext_dense.config.find import find_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_data(parser)
    add_shape_argument(parser)
    parser.add_argument('--backbone', type=not_empty, metavar='NAME', help='put another backbone in, as train does')


def run(args: argparse.Namespace) -> None:
    """Print the summary."""
    find_config(args.config)
    check_data(args.data)
    from convnext_dense.config import load_config
    from convnext_dense.reports.summary_text import summary_text

    cfg = load_config(
        args.config,
        cfg_options=parse_cfg_options(args.cfg_options),
        backbone=args.backbone,
        data=args.data,
        boxes_to_masks=args.boxes_to_masks,
    )
    print(summary_text(cfg, args.shape))
