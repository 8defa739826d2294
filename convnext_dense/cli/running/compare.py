"""Train a config with several backbones by the identical recipe, and compare what they score and cost."""

import argparse
import shlex
import sys
from pathlib import Path

from convnext_dense.cli.arguments import (
    add_config,
    add_data,
    add_length,
    add_recipe,
    add_shape_argument,
    add_skip_check,
    add_update,
    at_least,
    check_data,
    check_work_dir,
    not_empty,
    parse_cfg_options,
)
from convnext_dense.config.find import find_config
from convnext_dense.errors import RunError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_data(parser)
    add_length(parser)
    add_update(parser)
    parser.add_argument('--backbones', nargs='+', required=True, metavar='NAME', help='named as in train --backbone')
    parser.add_argument('--seeds', nargs='+', type=at_least(0), default=[0], metavar='SEED', help='by default 0 alone')
    add_recipe(parser)
    parser.add_argument('--gpus', type=at_least(0), default=0, metavar='N', help='train each on N GPUs of this machine')
    parser.add_argument('--work-dir', type=not_empty, help='folder of the runs and the report')
    add_skip_check(parser)
    add_shape_argument(parser)


def run(args: argparse.Namespace) -> None:
    """Compare."""
    file = find_config(args.config)
    check_data(args.data)
    check_work_dir(args.work_dir)
    from convnext_dense.comparison import compare_backbones

    work_dir = Path(args.work_dir or Path('work_dirs', 'compare_backbones', file.stem))
    try:
        compare_backbones(
            args.config,
            args.backbones,
            work_dir,
            args.seeds,
            pretrained=not args.from_scratch,
            recipe=args.recipe,
            data=args.data,
            boxes_to_masks=args.boxes_to_masks,
            epochs=args.epochs,
            iters=args.iters,
            accumulate=args.accumulate,
            ema=args.ema,
            cfg_options=parse_cfg_options(args.cfg_options),
            shape=args.shape,
            gpus=args.gpus,
            command=shlex.join(['convnext-dense', *args.arguments]),
            skip_check=args.skip_check,
        )
    except KeyboardInterrupt:
        print('The same command continues from here.', file=sys.stderr)
        raise
    except RunError:
        # The others have their scores.
        _show(work_dir)
        raise
    _show(work_dir)


def _show(work_dir: Path) -> None:
    from convnext_dense.comparison import comparison_table

    print(f'\n{comparison_table(work_dir)}\n\nReport: {work_dir}/comparison.html')
