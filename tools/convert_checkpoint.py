"""Write a checkpoint's weights to a new file: in another layout, and without what only training needs."""

import argparse

from convnext_dense.errors import exit_on_usage_error
from convnext_dense.weights.conversion import EXPORTS
from convnext_dense.weights.export import convert_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='file, address, published name, timm://... or huggingface://...')
    parser.add_argument('output', help='new file, ending in .pth, .pt or .safetensors')
    parser.add_argument('--to', choices=EXPORTS, default='ours', help='layout (default: %(default)s)')
    parser.add_argument(
        '--backbone-only', action='store_true', help="leave out a detector's or segmenter's other parts"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        print(convert_checkpoint(args.source, args.output, args.to, args.backbone_only))


if __name__ == '__main__':
    main()
