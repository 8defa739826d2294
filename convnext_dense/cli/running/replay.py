"""Make a step again that a run has kept because its loss or a gradient was not finite."""

import argparse

from convnext_dense.cli.arguments import not_empty
from convnext_dense.config.find import find_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('file', type=not_empty, help='what a run wrote as non_finite_step_*.pt')
    parser.add_argument(
        '--config', type=not_empty, help="the run's config, if its model has components of your own (it runs as code)"
    )


def run(args: argparse.Namespace) -> None:
    """Make the step, and say whether it is the same."""
    if args.config:
        find_config(args.config)
    from convnext_dense.apis import replay
    from convnext_dense.config import load_config
    from convnext_dense.errors import RunError
    from convnext_dense.reports.replayed_step import replay_text

    step = replay(args.file, load_config(args.config) if args.config else None)
    print(replay_text(step))
    if not step.is_same:
        different = ', '.join(step.different_losses) or 'the gradients'
        raise RunError(f'the step is not the same: {different} differ from what was recorded.')
