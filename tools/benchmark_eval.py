"""Time the test of a detector or a segmenter, split into data, model, post-processing, encoding and metric."""

import argparse

import convnext_dense.config as config
from benchmarks.evaluation import measure_evaluation
from benchmarks.evaluation_table import evaluation_table
from benchmarks.measure import write_json
from convnext_dense.cli.arguments import add_speed_argument, config_parser
from convnext_dense.config.speed_switches import TEST_SWITCHES
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('--checkpoint', metavar='FILE', help='checkpoint file or address; by default random weights')
    parser.add_argument('--images', type=int, metavar='N', help='test the first N images; by default all')
    parser.add_argument('--against-mmdet', action='store_true', help="also time mmdet's CocoMetric, in turn with ours")
    add_speed_argument(parser, TEST_SWITCHES)
    parser.add_argument('--out', metavar='FILE', help='write the figures to a JSON file')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = config.load_config(args.config, cfg_options=args.cfg_options)
        if args.speed:
            config.enable_speed_in_testing(cfg, args.speed)
        times = measure_evaluation(cfg, args.checkpoint, args.images, args.against_mmdet)
        print(evaluation_table(times))
        if args.out:
            write_json(args.out, {'config': args.config, 'switches': args.speed, **times.to_dict()})


if __name__ == '__main__':
    main()
