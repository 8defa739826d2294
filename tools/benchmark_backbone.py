"""Time our ConvNeXt against timm's, torchvision's, mmpretrain's and transformers', each in its best setting.

Each library's is run contiguous and channels-last, eager and compiled, all in turn: the forward pass, and forward and
backward. Printed are the median of each, its spread and peak memory, the ratio of ours to the best peer, and how near
ours is to the hardware's measured limits.
"""

import argparse

import torch

from convnext_dense.backbones import ConvNeXt
from convnext_dense.benchmarks.backbone import benchmark_backbone, format_works
from convnext_dense.benchmarks.measurement import default_device, describe_machine, write_json
from convnext_dense.benchmarks.peers import BUILDERS
from convnext_dense.errors import UsageError, exit_on_usage_error

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
# The defaults on a GPU; on a CPU they would take hours.
GPU_SHAPES = ['16x3x512x512', '2x3x800x1344', '64x3x224x224']
CPU_SHAPES = ['2x3x384x384']
GPU_ARCHS = ['tiny', 'base']
CPU_ARCHS = ['tiny']


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--archs',
        nargs='+',
        choices=ConvNeXt.arch_settings,
        metavar='ARCH',
        help=f'sizes of ConvNeXt; by default {" ".join(GPU_ARCHS)} on a GPU, {" ".join(CPU_ARCHS)} on a CPU',
    )
    parser.add_argument('--v2', action='store_true', help='ConvNeXt V2')
    parser.add_argument(
        '--shapes',
        nargs='+',
        metavar='NxCxHxW',
        help=f'of the images; by default {" ".join(GPU_SHAPES)} on a GPU, {" ".join(CPU_SHAPES)} on a CPU',
    )
    parser.add_argument('--dtype', choices=DTYPES, help='by autocast; by default bfloat16 on a GPU, float32 on a CPU')
    parser.add_argument(
        '--libraries', nargs='+', metavar='NAME', help=f'of {", ".join(BUILDERS)}; by default all that are installed'
    )
    parser.add_argument('--threads', type=int, help='of a CPU')
    parser.add_argument('--rounds', type=int, default=20, help='how many times each setting is timed')
    parser.add_argument('--out', metavar='FILE', help='save the figures as JSON')
    return parser.parse_args()


def parse_shape(text: str) -> tuple[int, ...]:
    """Return the four sizes of a shape."""
    sizes = text.split('x')
    if len(sizes) != 4 or not all(size.isdigit() for size in sizes) or sizes[1] != '3':
        raise UsageError(f'--shapes: a shape is written as 16x3x512x512; got {text}.')
    shape = tuple(int(size) for size in sizes)
    if not shape[0] or min(shape[2:]) < 32:
        raise UsageError(f'--shapes: images must be at least 32 pixels high and wide; got {text}.')
    return shape


def benchmark(args: argparse.Namespace) -> None:
    """Time each size at each shape, and print and save the figures as they come."""
    device = default_device()
    if args.threads is not None:
        if args.threads < 1:
            raise UsageError(f'--threads must be at least 1; got {args.threads}.')
        torch.set_num_threads(args.threads)
    if args.rounds < 1:
        raise UsageError(f'--rounds must be at least 1; got {args.rounds}.')
    on_gpu = device.type == 'cuda'
    dtype = args.dtype or ('bfloat16' if on_gpu else 'float32')
    shapes = [parse_shape(text) for text in args.shapes or (GPU_SHAPES if on_gpu else CPU_SHAPES)]
    machine = describe_machine(device, 'mmpretrain', 'transformers')
    print(machine)
    cases = []
    for arch in args.archs or (GPU_ARCHS if on_gpu else CPU_ARCHS):
        for shape in shapes:
            name = f'ConvNeXt {"V2 " if args.v2 else ""}{arch}, {"x".join(map(str, shape))}, {dtype}'
            works = benchmark_backbone(arch, shape, DTYPES[dtype], device, args.v2, args.libraries, args.rounds)
            print(f'\n{name}\n{format_works(works)}')
            cases.append(dict(arch=arch, v2=args.v2, shape=shape, dtype=dtype, works=works))
            if args.out:
                write_json(args.out, dict(machine=machine, cases=cases))


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        benchmark(args)


if __name__ == '__main__':
    main()
