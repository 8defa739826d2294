"""Count the parameters and the multiply-adds of a detector or a segmenter."""

import argparse

from mmengine.config import DictAction

import convnext_dense.engine as engine
from convnext_dense.engine.complexity import complexity_table
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, of this package, mmdet, mmseg or your own')
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help="the image's; by default 800 1280 for a detector, for a segmenter its window and four times the width",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change keys of the config, such as model.backbone.arch=small',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = engine.load_config(args.config, cfg_options=args.cfg_options)
        print(complexity_table(cfg, args.shape))


if __name__ == '__main__':
    main()
