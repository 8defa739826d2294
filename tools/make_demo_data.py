"""Write the demo dataset: images of coloured shapes, as COCO and ADE20K lie on disk."""

import argparse
import sys

from convnext_dense.datasets.demo import DemoSpec, make_demo_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--out', default='data/demo', help='folder to write to')
    parser.add_argument('--num-train', type=int, default=DemoSpec.num_train, help='training images')
    parser.add_argument('--num-val', type=int, default=DemoSpec.num_val, help='validation images')
    parser.add_argument('--size', type=int, default=DemoSpec.size, help='image side in pixels')
    parser.add_argument('--seed', type=int, default=DemoSpec.seed)
    args = parser.parse_args()
    try:
        written = make_demo_data(args.out, DemoSpec(args.num_train, args.num_val, args.size, args.seed))
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    print(f'{args.out}: {"written" if written else "is there already"}')


if __name__ == '__main__':
    main()
