"""Evaluate a checkpoint of a detector or a segmenter."""

import argparse

import convnext_dense.config as config
from convnext_dense.apis.train import test
from convnext_dense.cli.arguments import add_speed_argument, config_parser
from convnext_dense.config.speed import IN_TESTING
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file, address, or published name')
    parser.add_argument('--work-dir', help='folder for logs and metrics')
    parser.add_argument('--out', help='save predictions: a .pkl file for a detector, a folder for a segmenter')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--tta', action='store_true', help='test with augmentation')
    add_speed_argument(parser, IN_TESTING)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = config.load_config(args.config, args.work_dir, args.cfg_options, args.launcher)
        if args.speed:
            config.enable_speed_in_testing(cfg, args.speed)
        test(cfg, args.checkpoint, args.out, args.show_dir, args.tta)


if __name__ == '__main__':
    main()
