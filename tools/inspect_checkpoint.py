"""Say what a checkpoint is: its layout, architecture, size and precision, and what of it would load."""

import argparse

import convnext_dense.engine as engine
from convnext_dense.checkpoints.inspection import inspect_checkpoint, published_table
from convnext_dense.errors import exit_on_usage_error


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
        backbone = engine.load_config(args.config).model.get('backbone', {'type': 'none'}) if args.config else None
        print(inspect_checkpoint(args.checkpoint, backbone))


if __name__ == '__main__':
    main()
