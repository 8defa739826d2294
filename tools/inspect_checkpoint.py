"""Say what a checkpoint is: its layout, architecture, size and precision, and what of it would load."""

import argparse

from mmengine.registry import init_default_scope

import convnext_dense.config as config
from convnext_dense.errors import CheckpointError, exit_on_usage_error
from convnext_dense.weights.inspection import inspect_checkpoint, published_table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('checkpoint', nargs='?', help='file, address, published name, timm://... or huggingface://...')
    what.add_argument('--names', action='store_true', help='print the published names, licences and addresses')
    parser.add_argument('--config', help='the config of the model to load it into')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        if args.names:
            print(published_table())
            return
        model = None
        if args.config:
            cfg = config.load_config(args.config)
            init_default_scope(cfg.default_scope)
            model = cfg.model
        inspection = inspect_checkpoint(args.checkpoint, model)
        print(inspection.text)
        if inspection.problem:
            raise CheckpointError(inspection.problem)


if __name__ == '__main__':
    main()
