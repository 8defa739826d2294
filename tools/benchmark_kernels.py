"""Time the fused kernels on the maps of each stage, by themselves and as whole blocks against PyTorch's.

Of each kernel, printed are the median time, the fewest bytes it must move, and how near it is to the measured rates of
a copy and of a matrix product. A block runs by PyTorch and by the kernels, eager and compiled, and by the kernels with
the hidden layer recomputed, in turn: the forward pass, and forward and backward. --record has kernels='auto' go by
what was measured.

With TRITON_INTERPRET=1 in the environment, Triton's interpreter runs the kernels on the CPU. That shows that the tool
works, on the smallest maps; the times mean nothing.
"""

import argparse
import os

import torch

from benchmarks.block import benchmark_block, format_block
from benchmarks.cases import (
    DTYPES,
    add_case_arguments,
    check_kernels_run,
    check_rounds,
    name_case,
    parse_shape,
)
from benchmarks.kernel_measurements import check_writable, measurements_of, record
from benchmarks.kernels import benchmark_kernels, format_kernels, stage_inputs
from benchmarks.limits import measure_bandwidth, measure_matmul_rate
from benchmarks.measure import default_device, describe_machine, write_json
from convnext_dense.errors import UsageError, exit_on_usage_error

ARCHS = ['tiny', 'base']
SHAPES = ['16x3x512x512', '2x3x800x1344']


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_case_arguments(parser, archs=' '.join(ARCHS), shapes=' '.join(SHAPES))
    parser.add_argument(
        '--record', action='store_true', help="add the blocks' figures to those that kernels='auto' goes by"
    )
    return parser.parse_args()


def benchmark(args: argparse.Namespace) -> None:
    """Time the kernels and the blocks on each map, and print, save and record the figures as they come."""
    interpreted = os.environ.get('TRITON_INTERPRET') == '1'
    device = torch.device('cpu') if interpreted else default_device()
    dtype_name = args.dtype or ('bfloat16' if device.type == 'cuda' else 'float32')
    dtype = DTYPES[dtype_name]
    check_rounds(args.rounds)
    shapes = [parse_shape(text) for text in args.shapes or SHAPES]
    if interpreted and args.record:
        raise UsageError("--record: the times of Triton's interpreter mean nothing; unset TRITON_INTERPRET.")
    check_kernels_run('tools/benchmark_kernels.py', dtype, device)
    if args.record:
        check_writable()
    if interpreted:
        print("Triton's interpreter runs the kernels: the times mean nothing.")
    machine = describe_machine(device)
    rates = dict(matmul_rate=measure_matmul_rate(dtype, device), bandwidth=measure_bandwidth(device))
    print(machine)
    print(
        f'a product runs at {rates["matmul_rate"] / 1e12:.2f} TFLOP/s in {dtype_name}, '
        f'a copy at {rates["bandwidth"] / 1e9:.0f} GB/s'
    )
    cases = []
    for arch in args.archs or ARCHS:
        for shape in shapes:
            cases.append(dict(arch=arch, v2=args.v2, shape=shape, dtype=dtype_name, stages=[]))
            for x in stage_inputs(arch, shape, dtype, args.v2, device):
                stage = dict(
                    map=tuple(x.shape),
                    map_dtype=str(x.dtype).removeprefix('torch.'),
                    kernels=benchmark_kernels(x, dtype, args.v2, **rates, rounds=args.rounds),
                    works=benchmark_block(x, dtype, args.v2, args.rounds),
                )
                print(f'\n{name_case(arch, args.v2, shape, dtype_name)}: {"x".join(map(str, x.shape))}')
                print(f'{format_kernels(stage["kernels"])}\n\n{format_block(stage["works"])}', flush=True)
                cases[-1]['stages'].append(stage)
                if args.out:
                    write_json(args.out, dict(machine=machine, rates=rates, cases=cases))
                if args.record:
                    record(measurements_of(stage['works'], machine['device'], dtype, x.shape, args.v2))


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        benchmark(args)


if __name__ == '__main__':
    main()
