"""Time our ConvNeXt against timm's, torchvision's, mmpretrain's and transformers', each in its best setting.

Each library's is run contiguous and channels-last, eager and compiled, all in turn: the forward pass, and forward and
backward. Printed are the median of each, its spread and peak memory, the ratio of ours to the best peer, and how near
ours is to the hardware's measured limits.
"""

import argparse

import torch

from benchmarks.backbone import benchmark_backbone, format_works
from benchmarks.cases import DTYPES, add_case_arguments, check_rounds, name_case, parse_shape
from benchmarks.measure import default_device, describe_machine, write_json
from benchmarks.peers import BUILDERS
from convnext_dense.errors import UsageError, exit_on_usage_error
from convnext_dense.kernels import CHOICES

# The defaults on a GPU; on a CPU they would take hours.
GPU_SHAPES = ['16x3x512x512', '2x3x800x1344', '64x3x224x224']
CPU_SHAPES = ['2x3x384x384']
GPU_ARCHS = ['tiny', 'base']
CPU_ARCHS = ['tiny']


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_case_arguments(
        parser,
        archs=f'{" ".join(GPU_ARCHS)} on a GPU, {" ".join(CPU_ARCHS)} on a CPU',
        shapes=f'{" ".join(GPU_SHAPES)} on a GPU, {" ".join(CPU_SHAPES)} on a CPU',
    )
    parser.add_argument('--kernels', choices=CHOICES, default='torch', help='what ours runs by; by default torch')
    parser.add_argument(
        '--libraries', nargs='+', metavar='NAME', help=f'of {", ".join(BUILDERS)}; by default all that are installed'
    )
    parser.add_argument('--threads', type=int, help='of a CPU')
    return parser.parse_args()


def benchmark(args: argparse.Namespace) -> None:
    """Time each size at each shape, and print and save the figures as they come."""
    device = default_device()
    if args.threads is not None:
        if args.threads < 1:
            raise UsageError(f'--threads must be at least 1; got {args.threads}.')
        torch.set_num_threads(args.threads)
    check_rounds(args.rounds)
    on_gpu = device.type == 'cuda'
    dtype = args.dtype or ('bfloat16' if on_gpu else 'float32')
    shapes = [parse_shape(text) for text in args.shapes or (GPU_SHAPES if on_gpu else CPU_SHAPES)]
    machine = describe_machine(device, 'mmpretrain', 'transformers')
    print(machine)
    cases = []
    for arch in args.archs or (GPU_ARCHS if on_gpu else CPU_ARCHS):
        for shape in shapes:
            works = benchmark_backbone(
                arch, shape, DTYPES[dtype], device, args.v2, args.libraries, args.rounds, kernels=args.kernels
            )
            print(f'\n{name_case(arch, args.v2, shape, dtype)}, kernels {args.kernels}\n{format_works(works)}')
            cases.append(dict(arch=arch, v2=args.v2, shape=shape, dtype=dtype, kernels=args.kernels, works=works))
            if args.out:
                write_json(args.out, dict(machine=machine, cases=cases))


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        benchmark(args)


if __name__ == '__main__':
    main()
