"""Train a config with several backbones by the identical recipe, and compare what they score and cost."""

import argparse
import shlex
import sys
from pathlib import Path

from convnext_dense.cli.arguments import add_shape_argument, config_parser
from convnext_dense.comparison.compare import compare_backbones
from convnext_dense.comparison.report import text_table
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument(
        '--backbones', nargs='+', required=True, metavar='NAME', help='named as in tools/train.py --backbone'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='SEED', help='by default 0 alone')
    parser.add_argument('--from-scratch', action='store_true', help='without published weights')
    parser.add_argument('--gpus', type=int, default=0, metavar='N', help='train each on N GPUs of this machine')
    parser.add_argument('--work-dir', help='folder of the runs and the report')
    add_shape_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    work_dir = Path(args.work_dir or Path('work_dirs', 'compare_backbones', Path(args.config).stem))
    try:
        with exit_on_usage_error():
            compare_backbones(
                args.config,
                args.backbones,
                work_dir,
                args.seeds,
                pretrained=not args.from_scratch,
                cfg_options=args.cfg_options,
                shape=args.shape,
                gpus=args.gpus,
                command=shlex.join(['python', *sys.argv]),
            )
            print(f'\n{text_table(work_dir)}\n\nReport: {work_dir}/comparison.html')
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here', file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
