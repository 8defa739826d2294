"""List, inspect and convert pretrained weights."""

import argparse

from convnext_dense.cli.arguments import not_empty
from convnext_dense.config.find import find_config
from convnext_dense.config.machine import check_output_file
from convnext_dense.errors import UsageError

LAYOUTS = ('ours', 'mmpretrain', 'timm')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own commands."""
    commands = parser.add_subparsers(title='commands', dest='action', metavar='COMMAND', required=True)
    summary = 'Print the published names, licenses and addresses.'
    commands.add_parser('list', help=summary, description=summary).set_defaults(act=_list)

    summary = 'Say what a checkpoint is, which backbone it is for, and whether it would load.'
    inspect = commands.add_parser('inspect', help=summary, description=summary)
    inspect.add_argument(
        'checkpoint', type=not_empty, help='file, address, published name, timm://... or huggingface://...'
    )
    inspect.add_argument('--config', type=not_empty, help='the config of the model to load it into')
    inspect.set_defaults(act=_inspect)

    summary = "Write a checkpoint's weights to a new file: in another layout, and without what only training needs."
    convert = commands.add_parser('convert', help=summary, description=summary)
    convert.add_argument(
        'source', type=not_empty, help='file, address, published name, timm://... or huggingface://...'
    )
    convert.add_argument('output', type=not_empty, help='new file, ending in .pth, .pt or .safetensors')
    convert.add_argument('--to', choices=LAYOUTS, help='layout (default: ours)')
    convert.add_argument(
        '--backbone-only', action='store_true', help="leave out a detector's or segmenter's other parts"
    )
    convert.add_argument(
        '--model',
        type=not_empty,
        metavar='CONFIG',
        help='write a whole model with its config, classes and colors, which is all that predict and test need',
    )
    convert.set_defaults(act=_convert)


def run(args: argparse.Namespace) -> None:
    """Do what the command's own command says."""
    args.act(args)


def _list(args: argparse.Namespace) -> None:
    from convnext_dense.weights.inspection import published_table

    print(published_table())


def _inspect(args: argparse.Namespace) -> None:
    from convnext_dense.config import find_config

    if args.config:
        find_config(args.config)
    from mmengine.registry import init_default_scope

    from convnext_dense.config import load_config
    from convnext_dense.errors import CheckpointError
    from convnext_dense.weights.inspection import inspect_checkpoint

    _check_address(args.checkpoint)
    model = None
    if args.config:
        cfg = load_config(args.config)
        init_default_scope(cfg.default_scope)
        model = cfg.model
    inspection = inspect_checkpoint(args.checkpoint, model)
    print(inspection.text)
    if inspection.problem:
        raise CheckpointError(inspection.problem)


def _convert(args: argparse.Namespace) -> None:
    check_output_file(args.output, 'output')
    _check_address(args.source)
    if args.model:
        _convert_model(args)
        return
    from convnext_dense.weights.export import convert_checkpoint

    print(convert_checkpoint(args.source, args.output, args.to or LAYOUTS[0], args.backbone_only))


def _convert_model(args: argparse.Namespace) -> None:
    for name in ('to', 'backbone_only'):
        if getattr(args, name):
            raise UsageError(f'{name}: with model, a whole model is written, in the layout of its config.')
    find_config(args.model)
    from convnext_dense.inference.find_model import find_model
    from convnext_dense.inference.model_file import write_model_file

    print(write_model_file(find_model(args.model, args.source), args.output))


def _check_address(address: str) -> None:
    from convnext_dense.checks.addresses import address_problem
    from convnext_dense.errors import CheckpointError

    if problem := address_problem(address):
        raise CheckpointError(problem)
