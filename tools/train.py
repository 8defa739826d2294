"""Train a detector or a segmenter."""

import argparse

import convnext_dense.config as config
from convnext_dense.apis.train import train
from convnext_dense.cli.arguments import add_speed_argument, config_parser
from convnext_dense.config.speed import SWITCHES
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument(
        '--backbone',
        metavar='NAME',
        help='put another backbone into the config: convnext_base, convnextv2_tiny, timm/resnet50, '
        "mmdet/SwinTransformer, 'mmdet/ResNet(depth=101)', ...",
    )
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or without one from the latest in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    add_speed_argument(parser, list(SWITCHES))
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = config.load_config(args.config, args.work_dir, args.cfg_options, args.launcher, args.backbone)
        if args.amp:
            config.enable_amp(cfg)
        if args.speed:
            config.enable_speed(cfg, args.speed)
        if args.auto_scale_lr:
            config.enable_auto_scale_lr(cfg)
        if args.resume:
            config.set_resume(cfg, args.resume)
        train(cfg)


if __name__ == '__main__':
    main()
