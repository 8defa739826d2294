"""Show where the time of a config's training steps goes, by part and by kernel.

The parts are data, preprocessing, backbone, neck, each head, losses (with the assignment of targets), optimizer, what
is in none of these, and host gaps: on a GPU, the time in which it waits for the host; on a CPU, the time outside of
PyTorch's operators. Together they are the step.
"""

import argparse

import convnext_dense.config as config
from benchmarks.training.profile import profile_table, profile_training
from convnext_dense.cli.arguments import add_batch_arguments, add_speed_argument, config_parser
from convnext_dense.config.speed import SWITCHES
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_speed_argument(parser, list(SWITCHES))
    add_batch_arguments(parser)
    parser.add_argument('--steps', type=int, default=5, help='how many steps are profiled')
    parser.add_argument('--out', metavar='DIR', help='save the figures, and the trace, which Chrome and Perfetto show')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = config.load_config(args.config, cfg_options=args.cfg_options)
        result = profile_training(cfg, args.speed, args.batch_size, args.scale, args.steps, args.with_data, args.out)
    print(profile_table(result))


if __name__ == '__main__':
    main()
