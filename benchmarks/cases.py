"""What is benchmarked, and what the benchmarks' command lines have in common."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import WARM_UP, default_device, describe_machine
from benchmarks.peers import build_ours
from convnext_dense.backbones import ConvNeXt
from convnext_dense.cli.arguments import at_least
from convnext_dense.config.machine import check_output_file
from convnext_dense.datasets.formats.whole_files import write_whole
from convnext_dense.errors import UsageError, exit_on_usage_error
from convnext_dense.kernels.support import OLDEST_CAPABILITY, OLDEST_TRITON, is_supported
from convnext_dense.meta_device import without_allocating

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
CPU = torch.device('cpu')
PASSES = ('forward', 'forward + backward')
# The backward pass has twice the forward's multiply-adds: for the inputs' gradients, and for the weights'.
FLOP_FACTORS = {'forward': 1, 'forward + backward': 3}
# How often a pass must read or write a layer's input or output. Forward: both once. Backward: the input again, the
# output's gradient, and the input's gradient.
MAP_FACTORS = {'forward': 2, 'forward + backward': 5}
# A pass reads the weights once, and the backward pass writes their gradients.
WEIGHT_FACTORS = {'forward': 1, 'forward + backward': 3}
WEIGHT_BYTES = 4


@dataclass(frozen=True)
class Case:
    """A size of ConvNeXt, its images, and how it is timed.

    Args:
        arch: A key of `ConvNeXt.arch_settings`.
        shape: Shape of the images, (N, 3, H, W).
        dtype: In which the network computes; below float32 by autocast.
        device: Where it runs.
        v2: Whether it is ConvNeXt V2.
        rounds: How many times each contender is timed.
        warm_up: How many untimed rounds go first.

    Example:
        >>> print(Case('tiny', (2, 3, 800, 1344), torch.bfloat16, v2=True))
        ConvNeXt V2 tiny, 2x3x800x1344, bfloat16
    """

    arch: str
    shape: tuple[int, int, int, int]
    dtype: torch.dtype = torch.float32
    device: torch.device = CPU
    v2: bool = False
    rounds: int = 20
    warm_up: int = WARM_UP

    def __str__(self) -> str:
        return f'ConvNeXt {"V2 " if self.v2 else ""}{self.arch}, {"x".join(map(str, self.shape))}, {self.dtype_name}'

    @property
    def dtype_name(self) -> str:
        """Name of the dtype, without ``torch.``."""
        return str(self.dtype).removeprefix('torch.')

    def to_dict(self) -> dict:
        """Return what was benchmarked, for JSON."""
        return dict(case=str(self), arch=self.arch, v2=self.v2, shape=self.shape, dtype=self.dtype_name)

    def autocast(self) -> AbstractContextManager:
        """Return autocast to the dtype, or a context without effect for float32."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, self.dtype)

    def flops(self, pass_name: str) -> int:
        """Return the floating-point operations of one of `PASSES`, two per multiply-add.

        Example:
            >>> Case('tiny', (1, 3, 224, 224)).flops('forward') / 2e9  # doctest: +ELLIPSIS
            4.45...
        """
        with without_allocating(), FlopCounterMode(display=False) as counter:
            build_ours(self.arch, self.v2)(torch.empty(self.shape))
        return FLOP_FACTORS[pass_name] * counter.get_total_flops()

    def fewest_bytes(self, pass_name: str) -> int:
        """Return the fewest bytes that one of `PASSES`, run block by block, can move through memory.

        Every block, downsampling layer and output norm reads its input and writes its output once, and keeps the rest
        on chip. Backward, it reads its input and the output's gradient, and writes the input's gradient. Weights are
        float32 and are read once a pass.
        """
        depths, channels = ConvNeXt.arch_settings[self.arch]
        images, _, height, width = self.shape
        size = images * 3 * height * width
        elements = 0
        for stage, (depth, width_of_stage) in enumerate(zip(depths, channels, strict=True)):
            stride = 4 * 2**stage
            map_size = images * width_of_stage * (height // stride) * (width // stride)
            # The downsampling layer counts by the mean of its input and output; then the blocks and the output norm.
            elements += (size + map_size) / 2 + (depth + 1) * map_size
            size = map_size
        with without_allocating():
            weights = sum(parameter.numel() for parameter in build_ours(self.arch, self.v2).parameters())
        moved = MAP_FACTORS[pass_name] * elements * self.dtype.itemsize
        return int(moved + WEIGHT_FACTORS[pass_name] * weights * WEIGHT_BYTES)


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--archs``, ``--v2``, ``--shapes``, ``--dtype``, ``--rounds`` and ``--warm-up``."""
    parser.add_argument('--archs', nargs='+', choices=ConvNeXt.arch_settings, metavar='ARCH', help='sizes of ConvNeXt')
    parser.add_argument('--v2', action='store_true', help='ConvNeXt V2')
    parser.add_argument('--shapes', nargs='+', metavar='NxCxHxW', help='shapes of the images')
    parser.add_argument('--dtype', choices=DTYPES, help='by autocast; by default bfloat16 on a GPU, float32 on a CPU')
    parser.add_argument('--rounds', type=at_least(1), default=20, help='how many times each contender is timed')
    parser.add_argument('--warm-up', type=at_least(0), default=WARM_UP, help='how many untimed rounds go first')


def parse_cases(
    args: argparse.Namespace, archs: Sequence[str], shapes: Sequence[str], device: torch.device
) -> list[Case]:
    """Return a case for each size and shape.

    Args:
        args: Parsed arguments of `add_case_arguments`.
        archs: The default of ``--archs``.
        shapes: The default of ``--shapes``.
        device: Where the cases run.

    Raises:
        UsageError: If a shape is not one of images.
    """
    dtype = DTYPES[args.dtype or ('bfloat16' if device.type == 'cuda' else 'float32')]
    pairs = product(args.archs or archs, map(parse_shape, args.shapes or shapes))
    return [Case(arch, shape, dtype, device, args.v2, args.rounds, args.warm_up) for arch, shape in pairs]


def check_kernels_run(case: Case) -> None:
    """Raise UsageError unless the kernels can run on the case's device, in its dtype."""
    if not is_supported(torch.empty(0, device=case.device), case.dtype):
        capability, version = ('.'.join(map(str, numbers)) for numbers in (OLDEST_CAPABILITY, OLDEST_TRITON))
        raise UsageError(
            f'kernels: they need an NVIDIA GPU of compute capability {capability} or later and Triton {version} or '
            'later; this machine lacks them.'
        )


def parse_shape(text: str) -> tuple[int, ...]:
    """Return the shape that a text such as ``2x3x800x1344`` gives.

    Raises:
        UsageError: If it is not a shape, or not one of images for a ConvNeXt.

    Example:
        >>> parse_shape('2x3x800x1344')
        (2, 3, 800, 1344)
    """
    sizes = text.split('x')
    if len(sizes) != 4 or not all(size.isdigit() for size in sizes) or sizes[1] != '3':
        raise UsageError(f'shapes: a shape is written as 16x3x512x512; got {text}.')
    shape = tuple(map(int, sizes))
    if not shape[0] or min(shape[2:]) < 32:
        raise UsageError(f'shapes: images must be at least 32 pixels high and wide; got {text}.')
    return shape


def run_benchmark(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    run: Callable[[argparse.Namespace], Iterator[dict]],
    table: Callable[[dict], str],
) -> list[dict]:
    """Run a benchmark from the command line: print the figures of each case as they come, and save them.

    Args:
        parser: The benchmark's parser, to which ``--out`` is added.
        arguments: The command line. Defaults to the process's.
        run: Yields the figures of each case.
        table: Formats the figures of a case.

    Returns:
        The figures of all cases.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--out', metavar='FILE', help='save the figures as JSON')
    args = parser.parse_args(arguments)
    cases: list[dict] = []
    with exit_on_usage_error(vars(args).keys() - {'config'}):
        for name in ('out', 'trace'):
            check_output_file(vars(args).get(name), name)
        for case in run(args):
            print(f'{table(case)}\n', flush=True)
            cases.append(case)
            # Only now, because `run` may set the number of threads.
            machine = describe_machine(default_device())
            if args.out:
                write_json(args.out, dict(machine=machine, cases=cases))
    print(machine)
    return cases


def write_json(file: str | Path, content: dict) -> None:
    """Write figures to a file, which is whole at any time, and make its folder if it is missing."""
    write_whole(Path(file), json.dumps(content, indent=2) + '\n')
