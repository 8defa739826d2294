"""What the benchmarks of ConvNeXt's sizes have in common on the command line."""

import argparse
from collections.abc import Sequence

import torch

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError
from convnext_dense.kernels.support import OLDEST_CAPABILITY, OLDEST_TRITON, is_supported

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


def add_case_arguments(parser: argparse.ArgumentParser, archs: str, shapes: str) -> None:
    """Add --archs, --v2, --shapes, --dtype, --rounds and --out.

    Args:
        parser: The tool's.
        archs: What --archs is by default, in words.
        shapes: What --shapes is by default, in words.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_case_arguments(parser, 'tiny', '2x3x384x384')
        >>> parser.parse_args(['--archs', 'tiny', '--v2']).archs
        ['tiny']
    """
    parser.add_argument(
        '--archs',
        nargs='+',
        choices=ConvNeXt.arch_settings,
        metavar='ARCH',
        help=f'sizes of ConvNeXt; by default {archs}',
    )
    parser.add_argument('--v2', action='store_true', help='ConvNeXt V2')
    parser.add_argument('--shapes', nargs='+', metavar='NxCxHxW', help=f'of the images; by default {shapes}')
    parser.add_argument('--dtype', choices=DTYPES, help='by autocast; by default bfloat16 on a GPU, float32 on a CPU')
    parser.add_argument('--rounds', type=int, default=20, help='how many times each setting is timed')
    parser.add_argument('--out', metavar='FILE', help='save the figures as JSON')


def parse_shape(text: str) -> tuple[int, ...]:
    """Return the four sizes of a shape.

    Raises:
        UsageError: If it is none, or of images that a ConvNeXt cannot take.

    Example:
        >>> parse_shape('2x3x800x1344')
        (2, 3, 800, 1344)
    """
    sizes = text.split('x')
    if len(sizes) != 4 or not all(size.isdigit() for size in sizes) or sizes[1] != '3':
        raise UsageError(f'--shapes: a shape is written as 16x3x512x512; got {text}.')
    shape = tuple(int(size) for size in sizes)
    if not shape[0] or min(shape[2:]) < 32:
        raise UsageError(f'--shapes: images must be at least 32 pixels high and wide; got {text}.')
    return shape


def check_rounds(rounds: int) -> None:
    """Raise UsageError unless there is something to time.

    Example:
        >>> check_rounds(1)
    """
    if rounds < 1:
        raise UsageError(f'--rounds must be at least 1; got {rounds}.')


def check_kernels_run(asker: str, dtype: torch.dtype, device: torch.device) -> None:
    """Raise UsageError unless the kernels can run.

    Args:
        asker: What needs them, for the message.
        dtype: In which they would compute.
        device: Where they would.

    Example:
        >>> check_kernels_run('--kernels triton', torch.float64, torch.device('cpu'))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: --kernels triton: the kernels need an NVIDIA GPU ...
    """
    if not is_supported(torch.empty(0, device=device), dtype):
        capability, version = ('.'.join(map(str, each)) for each in (OLDEST_CAPABILITY, OLDEST_TRITON))
        raise UsageError(
            f'{asker}: the kernels need an NVIDIA GPU of compute capability {capability} or later and Triton {version} '
            'or later; this machine lacks them.'
        )


def name_case(arch: str, v2: bool, shape: Sequence[int], dtype: str) -> str:
    """Return the line above a case's figures.

    Example:
        >>> name_case('tiny', True, (2, 3, 800, 1344), 'bfloat16')
        'ConvNeXt V2 tiny, 2x3x800x1344, bfloat16'
    """
    return f'ConvNeXt {"V2 " if v2 else ""}{arch}, {"x".join(map(str, shape))}, {dtype}'
