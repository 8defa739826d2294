"""Train a ConvNeXt to have the features of a transformer, on images without annotations."""

import argparse
import math
import re
from pathlib import Path

from convnext_dense.cli.arguments import (
    add_launcher,
    add_speed_argument,
    at_least,
    check_work_dir,
    not_empty,
)
from convnext_dense.cli.resuming import add_resume, check_resume
from convnext_dense.config.machine import check_launcher, process_number
from convnext_dense.config.speed.switches import SWITCHES

# They act on detectors and segmenters alone.
OTHER_SWITCHES = ('waits', 'data')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('--images', type=not_empty, metavar='DIR', required=True, help='folder of images')
    parser.add_argument(
        '--teacher',
        type=not_empty,
        metavar='NAME',
        required=True,
        help='transformer of timm, such as timm/vit_base_patch16_dinov3',
    )
    parser.add_argument(
        '--student',
        type=not_empty,
        metavar='NAME',
        required=True,
        help="ConvNeXt, named as in train's --backbone, such as convnext_tiny",
    )
    parser.add_argument(
        '--teacher-weights', type=not_empty, metavar='FILE', help="file of the teacher's weights; by default timm's"
    )
    parser.add_argument(
        '--student-weights',
        type=not_empty,
        metavar='FILE',
        help='file or name of weights that the student starts from; by default its published ones',
    )
    parser.add_argument('--from-scratch', action='store_true', help='start the student without published weights')
    parser.add_argument(
        '--epochs', type=at_least(1), default=100, metavar='N', help='how often each image is seen (default: 100)'
    )
    parser.add_argument(
        '--batch-size', type=at_least(1), default=64, metavar='N', help='images of a step on each GPU (default: 64)'
    )
    parser.add_argument(
        '--size',
        type=at_least(1),
        default=224,
        metavar='PIXELS',
        help="height and width of the views, a multiple of the teacher's patch size (default: 224)",
    )
    parser.add_argument(
        '--lr', type=_rate, default=5e-4, metavar='RATE', help="AdamW's learning rate (default: 0.0005)"
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    add_speed_argument(parser, [name for name in SWITCHES if name not in OTHER_SWITCHES])
    parser.add_argument('--work-dir', type=not_empty, help='folder for logs and checkpoints')
    parser.add_argument(
        '--out',
        type=not_empty,
        metavar='FILE',
        help='the backbone, a new file that ends in .pth, .pt or .safetensors; by default backbone.safetensors in the '
        'work dir',
    )
    add_resume(parser)
    add_launcher(parser)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f'it must be a number above 0; got {text!r}')
    return rate


def run(args: argparse.Namespace) -> None:
    """Distill."""
    check_work_dir(args.work_dir)
    check_launcher(args.launcher)
    check_resume(args.resume, args.resume_with)
    from convnext_dense import config
    from convnext_dense.apis import distill
    from convnext_dense.distillation import distillation_config

    cfg = distillation_config(
        args.images,
        args.teacher,
        args.student,
        args.work_dir,
        args.teacher_weights,
        args.student_weights,
        args.from_scratch,
        args.epochs,
        args.batch_size,
        args.size,
        args.lr,
        args.launcher,
    )
    if args.amp:
        config.enable_amp(cfg)
    if args.speed:
        config.enable_speed(cfg, args.speed)
    config.set_logs(cfg)
    if args.resume:
        config.set_resume(cfg, args.resume, args.resume_with)
    file = distill(cfg, args.out, has_panel=True)
    if process_number() == 0:
        print(f'to start from it: --backbone "{_with_weights(args.student, file)}"')


def _with_weights(student: str, file: Path) -> str:
    """Return a student's name with the file that it starts from."""
    start = f"init_cfg=dict(type='Pretrained',checkpoint='{file}')"
    name, _, arguments = student.strip().removesuffix(')').partition('(')
    # Of those that it started from.
    arguments = re.sub(r',?\s*init_cfg=dict\([^()]*\)', '', arguments)
    return f'{name}({",".join(filter(None, [arguments.strip(", "), start]))})'
