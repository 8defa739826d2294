"""Count the parameters and the multiply-adds of a detector or a segmenter."""

import argparse

import convnext_dense.config as config
from convnext_dense.analysis.complexity import complexity_table
from convnext_dense.cli.arguments import add_shape_argument, config_parser
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    add_shape_argument(parser)
    parser.add_argument('--backbone', metavar='NAME', help='put another backbone into the config, as in tools/train.py')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = config.load_config(args.config, cfg_options=args.cfg_options, backbone=args.backbone)
        print(complexity_table(cfg, args.shape))


if __name__ == '__main__':
    main()
