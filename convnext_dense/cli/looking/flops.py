"""Count the parameters and the multiply-adds of a detector or a segmenter."""

import argparse

from convnext_dense.cli.arguments import add_config, add_shape_argument, not_empty, parse_cfg_options
from convnext_dense.config.find import find_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_shape_argument(parser)
    summary = 'put another backbone into the config, as train does'
    parser.add_argument('--backbone', type=not_empty, metavar='NAME', help=summary)


def run(args: argparse.Namespace) -> None:
    """Count, and print the table."""
    find_config(args.config)
    from convnext_dense.checks.check import report
    from convnext_dense.checks.config_keys.keys import key_findings
    from convnext_dense.config import load_config
    from convnext_dense.reports import complexity_table

    cfg = load_config(args.config, cfg_options=parse_cfg_options(args.cfg_options), backbone=args.backbone)
    report(key_findings(cfg))
    print(complexity_table(cfg, args.shape))
