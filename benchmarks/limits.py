"""How fast the hardware could be: its measured rates, and the least work of a ConvNeXt."""

from collections.abc import Sequence

import torch

from benchmarks.measure import summarize, time_in_turn
from benchmarks.peers import build_ours
from convnext_dense.backbones import ConvNeXt
from convnext_dense.meta_device import without_allocating

# Large enough that a GPU, or a CPU, is at its full rate.
MATMUL_SIZE = {'cuda': 8192, 'cpu': 2048}
COPY_BYTES = {'cuda': 2**30, 'cpu': 2**28}
ROUNDS = 10
WEIGHT_BYTES = 4
# What a pass must read or write of a block's input and output: both once forward; backward the input again, the
# output's gradient, and the input's gradient.
ACTIVATION_PASSES = {'forward': 2, 'forward + backward': 5}
# Weights are read once in each pass, and their gradient is written.
WEIGHT_PASSES = {'forward': 1, 'forward + backward': 3}


def measure_matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Return the floating-point operations per second of a large matrix product.

    Example:
        >>> measure_matmul_rate(torch.float32, torch.device('cpu')) > 1e9
        True
    """
    size = MATMUL_SIZE[device.type]
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    seconds = time_in_turn({'matmul': lambda: a @ b}, device, ROUNDS, warm_up=3)['matmul']
    return 2 * size**3 / summarize(seconds)['median']


def measure_bandwidth(device: torch.device) -> float:
    """Return the bytes per second, read and written, of a large copy.

    Example:
        >>> measure_bandwidth(torch.device('cpu')) > 1e8
        True
    """
    source = torch.randint(256, (COPY_BYTES[device.type],), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = time_in_turn({'copy': lambda: target.copy_(source)}, device, ROUNDS, warm_up=3)['copy']
    return 2 * source.numel() / summarize(seconds)['median']


def fewest_bytes(work: str, arch: str, shape: Sequence[int], dtype: torch.dtype, v2: bool = False) -> int:
    """Return the fewest bytes that a ConvNeXt, run block by block, can move through memory.

    Each block, downsampling layer and output norm reads its input and writes its output once, and keeps all in between
    on the chip; its backward pass reads the input and the output's gradient and writes the input's gradient. Weights
    are read once a pass.

    Args:
        work: 'forward' or 'forward + backward'.
        arch: A key of `ConvNeXt.arch_settings`.
        shape: Of the images, (N, 3, H, W).
        dtype: Of the activations; weights are float32.
        v2: Whether it is ConvNeXt V2.

    Example:
        >>> fewest_bytes('forward', 'tiny', (1, 3, 224, 224), torch.float32) / 1e6  # doctest: +ELLIPSIS
        1...
    """
    depths, channels = ConvNeXt.arch_settings[arch]
    images, _, height, width = shape
    size = images * 3 * height * width
    activations = 0
    for i, (depth, width_of_stage) in enumerate(zip(depths, channels, strict=True)):
        stride = 4 * 2**i
        map_size = images * width_of_stage * (height // stride) * (width // stride)
        # A downsampling layer, the blocks and the output norm: the mean of input and output is what a pass moves.
        activations += (size + map_size) / 2 + (depth + 1) * map_size
        size = map_size
    with without_allocating():
        weights = sum(parameter.numel() for parameter in build_ours(arch, v2).parameters())
    moved = ACTIVATION_PASSES[work] * activations * dtype.itemsize + WEIGHT_PASSES[work] * weights * WEIGHT_BYTES
    return int(moved)
