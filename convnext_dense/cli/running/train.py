"""Train a detector or a segmenter."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from convnext_dense.cli.arguments import (
    add_batch_size,
    add_config,
    add_data,
    add_launcher,
    add_length,
    add_recipe,
    add_skip_check,
    add_speed_argument,
    add_update,
    at_least,
    check_data,
    check_work_dir,
    not_empty,
    parse_cfg_options,
)
from convnext_dense.cli.resuming import add_resume, check_resume
from convnext_dense.config.find import find_config
from convnext_dense.config.machine import check_launcher
from convnext_dense.config.speed.switches import AUTO, SWITCHES

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_data(parser)
    add_length(parser)
    add_batch_size(parser)
    add_update(parser)
    parser.add_argument(
        '--save-best',
        type=not_empty,
        nargs='?',
        const='auto',
        metavar='METRIC',
        help='keep the checkpoint with the best score: of PQ, AP of masks, AP of boxes or mIoU, or of this metric',
    )
    parser.add_argument(
        '--patience',
        type=at_least(1),
        metavar='N',
        help='end the training after N validations in a row without a better score; keeps the best checkpoint too',
    )
    parser.add_argument(
        '--backbone',
        type=not_empty,
        metavar='NAME',
        help='put another backbone into the config: convnext_base, convnextv2_tiny, timm/resnet50, '
        "mmdet/SwinTransformer, 'mmdet/ResNet(depth=101)', ...",
    )
    add_recipe(parser)
    parser.add_argument('--work-dir', type=not_empty, help='folder for logs and checkpoints')
    add_resume(parser)
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    add_speed_argument(parser, list(SWITCHES))
    parser.add_argument(
        '--cache',
        choices=('ram', 'disk'),
        help='decode each training image once, and keep it in memory or on disk until the run ends',
    )
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument(
        '--log',
        nargs='+',
        default=[],
        choices=('wandb', 'mlflow'),
        help='write curves and pictures into these, too: Weights & Biases, MLflow; TensorBoard gets them by default',
    )
    add_skip_check(parser)
    add_launcher(parser)


def _set_precision(cfg: 'Config', args: argparse.Namespace) -> None:
    from convnext_dense import config

    if args.amp:
        config.enable_amp(cfg)
    if args.speed and args.speed != [AUTO]:
        config.enable_speed(cfg, args.speed)


def _find_switches(cfg: 'Config') -> None:
    from convnext_dense.apis.fastest_switches import find_switches
    from convnext_dense.config import enable_speed

    enable_speed(cfg, find_switches(cfg))


def _find_batch_size(args: argparse.Namespace, cfg: 'Config') -> int:
    from convnext_dense import config
    from convnext_dense.apis.batch_size import find_batch_size

    _set_precision(cfg, args)
    if args.ema:
        # It takes memory.
        config.set_ema(cfg)
    return find_batch_size(cfg)


def run(args: argparse.Namespace) -> None:
    """Train."""
    find_config(args.config)
    check_data(args.data)
    check_work_dir(args.work_dir)
    check_launcher(args.launcher)
    check_resume(args.resume, args.resume_with)
    from convnext_dense import config
    from convnext_dense.apis import train

    options = parse_cfg_options(args.cfg_options)
    cfg = config.load_config(
        args.config,
        args.work_dir,
        options,
        args.launcher,
        backbone=args.backbone,
        pretrained=not args.from_scratch,
        recipe=args.recipe,
        data=args.data,
        boxes_to_masks=args.boxes_to_masks,
        epochs=args.epochs,
        iters=args.iters,
        batch_size=partial(_find_batch_size, args) if args.batch_size == 'auto' else args.batch_size,
        accumulate=args.accumulate,
        ema=args.ema,
        save_best=args.save_best,
        patience=args.patience,
    )
    _set_precision(cfg, args)
    if args.speed == [AUTO]:
        _find_switches(cfg)
    if args.cache:
        config.keep_images(cfg, args.cache)
    if args.auto_scale_lr:
        config.enable_auto_scale_lr(cfg)
    config.set_logs(cfg, args.log)
    if args.resume:
        config.set_resume(cfg, args.resume, args.resume_with)
    train(cfg, args.skip_check, has_panel=True)
