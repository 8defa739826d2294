"""Show a config as it is resolved, and where its values come from; or how two configs differ."""

import argparse

from convnext_dense.cli.arguments import add_config, not_empty, parse_cfg_options
from convnext_dense.config.find import find_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    parser.add_argument('other', nargs='?', type=not_empty, help='another config: show the values that differ')
    parser.add_argument('--key', type=not_empty, help='show what is below this key alone, such as model.backbone')
    parser.add_argument(
        '--backbone', type=not_empty, metavar='NAME', help='put another backbone into it, as train does'
    )
    parser.add_argument('--data', type=not_empty, metavar='PLACE', help='put a dataset in, as train does')


def run(args: argparse.Namespace) -> None:
    """Print the values."""
    find_config(args.config)
    if args.other:
        find_config(args.other)
    from convnext_dense.reports.config_text import config_text, differences_text

    options, asked = parse_cfg_options(args.cfg_options), dict(backbone=args.backbone, data=args.data)
    if args.other:
        print(differences_text(args.config, args.other, args.key, options, **asked))
    else:
        print(config_text(args.config, args.key, options, **asked))
