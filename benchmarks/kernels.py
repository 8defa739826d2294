"""Times each kernel of a block by itself, against what the hardware could do."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.measure import format_table, summarize, time_in_turn
from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels.autotune import reset_autotuning

EPS = 1e-6
KERNEL_SIZE = 7
EXPANSION = 4
# Launches in a CUDA graph: enough that its own launch counts for little.
LAUNCHES = 20


class Kernel(NamedTuple):
    """A launch of a kernel: what it is given, and the floating-point operations of its matrix product, if it is one."""

    name: str
    launch: Callable[..., Tensor | tuple[Tensor | None, ...]]
    inputs: tuple[Tensor | None, ...]
    flops: int = 0


def stage_inputs(
    arch: str, shape: Sequence[int], dtype: torch.dtype, v2: bool, device: torch.device
) -> Iterator[Tensor]:
    """Yield a random input of the blocks of each stage, channels-last.

    Under autocast, the map between blocks is float32 after a LayerScale, which is, and after the stem's norm; in V2's
    later stages it is of half precision.

    Args:
        arch: A key of `ConvNeXt.arch_settings`.
        shape: Of the images, (N, 3, H, W).
        dtype: In which the block computes.
        v2: Whether it is ConvNeXt V2.
        device: Where the maps are to be.

    Example:
        >>> maps = stage_inputs('tiny', (2, 3, 64, 96), torch.bfloat16, True, torch.device('cpu'))
        >>> [(tuple(each.shape), each.dtype) for each in maps][1:3]
        [((2, 192, 8, 12), torch.bfloat16), ((2, 384, 4, 6), torch.bfloat16)]
    """
    images, _, height, width = shape
    for stage, channels in enumerate(ConvNeXt.arch_settings[arch].channels):
        stride = 4 * 2**stage
        x = torch.randn(images, height // stride, width // stride, channels, device=device)
        yield x.to(dtype if v2 and stage else torch.float32).permute(0, 3, 1, 2)


def block_kernels(x: Tensor, dtype: torch.dtype, v2: bool) -> list[Kernel]:
    """Return the launches of a block's forward and backward pass, with random inputs.

    Args:
        x: The block's input, (N, C, H, W), channels-last, where the kernels can run.
        dtype: In which the block computes.
        v2: Whether the block has a GRN.

    Example:
        >>> x = torch.rand(2, 96, 56, 56, device='cuda').to(memory_format=torch.channels_last)  # doctest: +SKIP
        >>> block_kernels(x, torch.bfloat16, v2=False)[0].name  # doctest: +SKIP
        'depthwise conv + norm'
    """
    # Here, for they import Triton.
    from convnext_dense.kernels.depthwise_conv import launch as depthwise
    from convnext_dense.kernels.pointwise_mlp import launch as pointwise
    from convnext_dense.kernels.pointwise_mlp.grn import Grn, compute_grn

    x = x.permute(0, 2, 3, 1)
    channels, hidden_channels = x.shape[-1], EXPANSION * x.shape[-1]

    def random(*shape: int, like: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(shape, device=x.device).to(like)

    taps, bias = random(channels, 1, KERNEL_SIZE, KERNEL_SIZE) / KERNEL_SIZE, random(channels)
    weight1 = (random(hidden_channels, channels) / channels**0.5).to(dtype)
    weight2 = (random(channels, hidden_channels) / hidden_channels**0.5).to(dtype)
    bias1, grn_weight = random(hidden_channels), random(hidden_channels) if v2 else None
    normed, rstd = depthwise.convolve_and_normalize(x, taps, bias, EPS, dtype)
    hidden, activated, squares = pointwise.hidden_layer(normed, weight1, bias1, v2, keep_hidden=True)
    response = compute_grn(squares, grn_weight, EPS).scale if v2 else None
    gradient, gradient_of_normed = random(*x.shape, like=x.dtype), random(*x.shape, like=dtype)
    *_, kept = pointwise.hidden_gradient(
        gradient, hidden, weight2, None, None, Grn(response, squares, grn_weight, EPS) if v2 else None
    )
    # Of many channels, what was activated is read in place of the hidden layer and GRN's response.
    given = (hidden, response, None) if kept is None else (None, None, kept)
    through_norm = (gradient_of_normed, normed, rstd, x, taps)
    flops = 2 * x.numel() * hidden_channels
    return [
        Kernel(
            'depthwise conv + norm',
            lambda x, taps, bias: depthwise.convolve_and_normalize(x, taps, bias, EPS, dtype),
            (x, taps, bias),
        ),
        Kernel(
            'its gradients, the norm on read',
            lambda *inputs: depthwise.convolve_and_normalize_backward(*inputs, fuse_norm=(True,)),
            through_norm,
        ),
        Kernel(
            'its gradients, the norm before',
            lambda *inputs: depthwise.convolve_and_normalize_backward(*inputs, fuse_norm=(False,)),
            through_norm,
        ),
        Kernel(
            'hidden layer',
            lambda *inputs: pointwise.hidden_layer(*inputs, v2, keep_hidden=True),
            (normed, weight1, bias1),
            flops,
        ),
        Kernel(
            'output layer',
            lambda *inputs: pointwise.output_layer(*inputs, drop_path_scale=None, dtype=x.dtype),
            (activated, response, weight2, bias, None, x),
            flops,
        ),
        Kernel(
            "hidden layer's gradient",
            lambda gradient, hidden, weight, *grn: pointwise.hidden_gradient(
                gradient, hidden, weight, None, None, Grn(*grn, EPS) if v2 else None
            ),
            (gradient, hidden, weight2, response, squares, grn_weight),
            flops,
        ),
        Kernel(
            "output layer's weight gradient",
            lambda gradient, hidden, response, activated: pointwise.output_weight_gradient(
                gradient, hidden, None, response, activated
            ),
            (gradient, *given),
            flops,
        ),
    ]


def moved_bytes(kernel: Kernel) -> int:
    """Return the fewest bytes that a launch can move: each input read once, and each output written once.

    Example:
        >>> moved_bytes(Kernel('copy', torch.clone, (torch.zeros(10),)))
        80
    """
    outputs = kernel.launch(*kernel.inputs)
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    return sum(each.nbytes for each in (*kernel.inputs, *outputs) if each is not None)


def benchmark_kernels(
    x: Tensor, dtype: torch.dtype, v2: bool, matmul_rate: float, bandwidth: float, rounds: int = 20, warm_up: int = 3
) -> list[dict]:
    """Time each kernel of a block.

    On a GPU each is launched several times in a CUDA graph, so that the time is the GPU's, not the host's; what a
    small map leaves in the cache, the next launch finds there.

    Args:
        x: As in `block_kernels`.
        dtype: In which the block computes.
        v2: Whether the block has a GRN.
        matmul_rate: Of `measure_matmul_rate`, in floating-point operations per second.
        bandwidth: Of `measure_bandwidth`, in bytes per second.
        rounds: How many times each is timed.
        warm_up: How many rounds go before, untimed.

    Returns:
        Of each kernel, ``kernel``, the times of `summarize` in seconds, ``bytes``, the fewest it must move,
        ``bandwidth`` in bytes per second, ``of_bandwidth``, and of a matrix product ``flops``, ``flop_rate`` and
        ``of_matmul_rate``, else None.

    Example:
        >>> x = torch.rand(2, 96, 56, 56, device='cuda').to(memory_format=torch.channels_last)  # doctest: +SKIP
        >>> figures = benchmark_kernels(x, torch.bfloat16, False, 7e14, 3e12)  # doctest: +SKIP
        >>> figures[0]['of_bandwidth']  # doctest: +SKIP
        0.61
    """
    # A process's later shapes are tuned within a budget.
    reset_autotuning()
    kernels = block_kernels(x, dtype, v2)
    moved = {kernel.name: moved_bytes(kernel) for kernel in kernels}
    launches = LAUNCHES if x.is_cuda else 1
    calls = {kernel.name: _captured(kernel) if x.is_cuda else _launch(kernel) for kernel in kernels}
    seconds = time_in_turn(calls, x.device, rounds, warm_up)
    figures = []
    for kernel in kernels:
        times = summarize([each / launches for each in seconds[kernel.name]])
        rate = moved[kernel.name] / times['median']
        flop_rate = kernel.flops / times['median']
        figures.append(
            dict(
                kernel=kernel.name,
                **times,
                bytes=moved[kernel.name],
                bandwidth=rate,
                of_bandwidth=rate / bandwidth,
                flops=kernel.flops or None,
                flop_rate=flop_rate or None,
                of_matmul_rate=flop_rate / matmul_rate or None,
            )
        )
    return figures


def format_kernels(figures: Sequence[dict]) -> str:
    """Return the figures of `benchmark_kernels` as a table."""
    rows = []
    for each in figures:
        product = each['flops'] is not None
        rows.append(
            [
                each['kernel'],
                f'{each["median"] * 1e6:.1f}',
                f'{each["bytes"] / 2**20:.1f}',
                f'{each["bandwidth"] / 1e9:.0f}',
                f'{each["of_bandwidth"]:.0%}',
                f'{each["flop_rate"] / 1e12:.1f}' if product else '',
                f'{each["of_matmul_rate"]:.0%}' if product else '',
            ]
        )
    return format_table(['kernel', 'us', 'MiB', 'GB/s', 'of a copy', 'TFLOP/s', 'of a product'], rows)


def _launch(kernel: Kernel) -> Callable[[], object]:
    return lambda: kernel.launch(*kernel.inputs)


def _captured(kernel: Kernel) -> Callable[[], object]:
    """Return what replays several launches of a kernel that has been launched before."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(LAUNCHES):
            kernel.launch(*kernel.inputs)
    return graph.replay
