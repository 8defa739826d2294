"""Train a detector or a segmenter."""

import argparse

from mmengine.config import DictAction

import convnext_dense.engine as engine
from convnext_dense.engine.run import train
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, of this package, mmdet, mmseg or your own')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or without one from the latest in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change keys of the config, such as train_dataloader.batch_size=4',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = engine.load_config(args.config, args.work_dir, args.cfg_options, args.launcher)
        if args.amp:
            engine.enable_amp(cfg)
        if args.auto_scale_lr:
            engine.enable_auto_scale_lr(cfg)
        if args.resume:
            engine.set_resume(cfg, args.resume)
        train(cfg)


if __name__ == '__main__':
    main()
