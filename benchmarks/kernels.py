"""Time the fused kernels on the maps of each stage: one by one, and as whole blocks against PyTorch's.

For each kernel, printed are the median time, the fewest bytes that it must move, and how close it comes to the measured
rates of a copy and of a matrix product. A block runs in PyTorch and with the kernels, eager and compiled, and with the
hidden layer recomputed, in turn: the forward pass, and forward and backward.

With TRITON_INTERPRET=1 in the environment, Triton's interpreter runs the kernels on the CPU. This shows that the
benchmark works, on the smallest maps; the times mean nothing.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.backbone import benchmark_block
from benchmarks.cases import Case, add_case_arguments, check_kernels_run, parse_cases, run_benchmark
from benchmarks.measure import default_device, measure_rates, summarize, time_in_turn
from benchmarks.passes import format_passes
from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels.autotune import reset_autotuning
from convnext_dense.reports.table import format_table

ARCHS = ['tiny', 'base']
SHAPES = ['16x3x512x512', '2x3x800x1344']
EPS = 1e-6
KERNEL_SIZE = 7
EXPANSION = 4
# Launches in a CUDA graph: enough to make the launch of the graph itself negligible.
GRAPH_LAUNCHES = 20
NO_MEANING = "Triton's interpreter runs the kernels: the times mean nothing."


class Kernel(NamedTuple):
    """A launch of a kernel, its inputs, and the floating-point operations of its matrix product if it has one."""

    name: str
    launch: Callable[..., Tensor | tuple[Tensor | None, ...]]
    inputs: tuple[Tensor | None, ...]
    flops: int = 0


def stage_inputs(case: Case) -> Iterator[Tensor]:
    """Yield a random input of the blocks of each stage, (N, C, H, W), channels-last.

    Under autocast, the map between two blocks is float32 after a float32 LayerScale and after the stem's norm. In V2's
    later stages it is in half precision.
    """
    images, _, height, width = case.shape
    for stage, channels in enumerate(ConvNeXt.arch_settings[case.arch].channels):
        stride = 4 * 2**stage
        x = torch.randn(images, height // stride, width // stride, channels, device=case.device)
        yield x.to(case.dtype if case.v2 and stage else torch.float32).permute(0, 3, 1, 2)


def block_kernels(x: Tensor, case: Case) -> list[Kernel]:
    """Return the launches of a block's forward and backward pass, with random inputs.

    Args:
        x: The block's input, (N, C, H, W), channels-last, where the kernels can run.
        case: What the block is a part of.
    """
    # Imported here because they import Triton.
    from convnext_dense.kernels.depthwise_conv import launch as depthwise
    from convnext_dense.kernels.pointwise_mlp import launch as pointwise
    from convnext_dense.kernels.pointwise_mlp.grn import Grn, compute_grn

    def random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(shape, device=x.device).to(dtype)

    x, v2, dtype = x.permute(0, 2, 3, 1), case.v2, case.dtype
    channels, hidden_channels = x.shape[-1], EXPANSION * x.shape[-1]
    taps, bias = random(channels, 1, KERNEL_SIZE, KERNEL_SIZE) / KERNEL_SIZE, random(channels)
    weight1 = (random(hidden_channels, channels) / channels**0.5).to(dtype)
    weight2 = (random(channels, hidden_channels) / hidden_channels**0.5).to(dtype)
    bias1, grn_weight = random(hidden_channels), random(hidden_channels) if v2 else None
    normed, rstd = depthwise.convolve_and_normalize(x, taps, bias, EPS, dtype)
    hidden, activated, squares = pointwise.hidden_layer(normed, weight1, bias1, v2, keep_hidden=True)
    grn = compute_grn(squares, grn_weight, EPS) if v2 else None
    grn_scale = grn.scale if v2 else None
    grad_out, grad_normed = random(*x.shape, dtype=x.dtype), random(*x.shape, dtype=dtype)
    *_, kept = pointwise.hidden_gradient(grad_out, hidden, weight2, None, None, grn)
    # With many channels, the stored activation is read instead of the hidden layer and GRN's scale.
    saved = (hidden, grn_scale, None) if kept is None else (None, None, kept)
    grn_tensors = (grn_scale, squares, grn_weight)
    through_norm = (grad_normed, normed, rstd, x, taps)
    flops = 2 * x.numel() * hidden_channels

    def convolve(x: Tensor, taps: Tensor, bias: Tensor) -> tuple:
        return depthwise.convolve_and_normalize(x, taps, bias, EPS, dtype)

    def convolve_backward(fuse_norm: bool) -> Callable[..., tuple]:
        return lambda *inputs: depthwise.convolve_and_normalize_backward(*inputs, fuse_norm=(fuse_norm,))

    def hidden_layer(*inputs: Tensor) -> tuple:
        return pointwise.hidden_layer(*inputs, v2, keep_hidden=True)

    def output_layer(*inputs: Tensor | None) -> Tensor:
        return pointwise.output_layer(*inputs, drop_path_scale=None, dtype=x.dtype)

    def hidden_gradient(grad: Tensor, hidden: Tensor, weight: Tensor, *grn: Tensor | None) -> tuple:
        return pointwise.hidden_gradient(grad, hidden, weight, None, None, Grn(*grn, EPS) if v2 else None)

    def weight_gradient(grad: Tensor, hidden: Tensor, grn_scale: Tensor | None, activated: Tensor | None) -> tuple:
        return pointwise.output_weight_gradient(grad, hidden, None, grn_scale, activated)

    return [
        Kernel('depthwise conv + norm', convolve, (x, taps, bias)),
        Kernel('its gradients, the norm fused', convolve_backward(True), through_norm),
        Kernel('its gradients, the norm before', convolve_backward(False), through_norm),
        Kernel('hidden layer', hidden_layer, (normed, weight1, bias1), flops),
        Kernel('output layer', output_layer, (activated, grn_scale, weight2, bias, None, x), flops),
        Kernel("hidden layer's gradient", hidden_gradient, (grad_out, hidden, weight2, *grn_tensors), flops),
        Kernel("output layer's weight gradient", weight_gradient, (grad_out, *saved), flops),
    ]


def moved_bytes(kernel: Kernel) -> int:
    """Return the fewest bytes that a launch can move: every input read once, and every output written once.

    Example:
        >>> moved_bytes(Kernel('copy', torch.clone, (torch.zeros(10),)))
        80
    """
    outputs = kernel.launch(*kernel.inputs)
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    return sum(tensor.nbytes for tensor in (*kernel.inputs, *outputs) if tensor is not None)


def benchmark_kernels(x: Tensor, case: Case, rates: dict[str, float]) -> list[dict]:
    """Time each kernel of a block.

    On a GPU, a CUDA graph launches each one several times, so that the host's time does not count. A launch may find a
    small map in the cache, where the one before left it.

    Args:
        x: As in `block_kernels`.
        case: What the block is a part of.
        rates: As `measure_rates` returns them.

    Returns:
        For each kernel a dict: ``kernel``; the times of `summarize` in seconds; ``bytes``, the fewest it must move;
        ``bandwidth`` in bytes per second and ``of_bandwidth``; and for a matrix product ``flops``, ``flop_rate`` and
        ``of_matmul``, otherwise None.
    """
    # Autotuning has a time budget per process, which the shapes before may have used up.
    reset_autotuning()
    kernels = block_kernels(x, case)
    # This launches each kernel for the first time, before a graph captures it.
    moved = {kernel.name: moved_bytes(kernel) for kernel in kernels}
    launches = GRAPH_LAUNCHES if x.is_cuda else 1
    calls = {kernel.name: _capture(kernel) if x.is_cuda else _call(kernel) for kernel in kernels}
    seconds = time_in_turn(calls, x.device, case.rounds, case.warm_up)
    figures = []
    for kernel in kernels:
        times = summarize([total / launches for total in seconds[kernel.name]])
        rate, flop_rate = moved[kernel.name] / times['median'], kernel.flops / times['median']
        figures.append(
            dict(
                kernel=kernel.name,
                **times,
                bytes=moved[kernel.name],
                bandwidth=rate,
                of_bandwidth=rate / rates['bandwidth'],
                flops=kernel.flops or None,
                flop_rate=flop_rate or None,
                of_matmul=flop_rate / rates['matmul'] or None,
            )
        )
    return figures


def _call(kernel: Kernel) -> Callable[[], object]:
    return lambda: kernel.launch(*kernel.inputs)


def _capture(kernel: Kernel) -> Callable[[], object]:
    """Return a call that replays several launches of a kernel."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(GRAPH_LAUNCHES):
            kernel.launch(*kernel.inputs)
    return graph.replay


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of each stage of each case of the command line."""
    interpreted = os.environ.get('TRITON_INTERPRET') == '1'
    device = torch.device('cpu') if interpreted else default_device()
    cases = parse_cases(args, ARCHS, SHAPES, device)
    check_kernels_run(cases[0])
    if interpreted:
        print(NO_MEANING)
    rates = measure_rates(cases[0].dtype, device)
    for case in cases:
        for x in stage_inputs(case):
            yield dict(
                **case.to_dict(),
                map=tuple(x.shape),
                map_dtype=str(x.dtype).removeprefix('torch.'),
                rates=rates,
                kernels=benchmark_kernels(x, case, rates),
                passes=[] if args.skip_blocks else benchmark_block(x, case),
            )


def table(figures: dict) -> str:
    """Return the figures of a stage as text."""
    rows = []
    for kernel in figures['kernels']:
        flops = kernel['flops'] is not None
        rows.append(
            [
                kernel['kernel'],
                f'{kernel["median"] * 1e6:.1f}',
                f'{kernel["bytes"] / 2**20:.1f}',
                f'{kernel["bandwidth"] / 1e9:.0f}',
                f'{kernel["of_bandwidth"]:.0%}',
                f'{kernel["flop_rate"] / 1e12:.1f}' if flops else '',
                f'{kernel["of_matmul"]:.0%}' if flops else '',
            ]
        )
    rates = figures['rates']
    return '\n'.join(
        [
            f'{figures["case"]}: map {"x".join(map(str, figures["map"]))} in {figures["map_dtype"]}; '
            f'a product runs at {rates["matmul"] / 1e12:.2f} TFLOP/s, a copy at {rates["bandwidth"] / 1e9:.0f} GB/s',
            format_table(rows, ['kernel', 'us', 'MiB', 'GB/s', 'of a copy', 'TFLOP/s', 'of a product']),
            format_passes(figures['passes'], 'block'),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_case_arguments(parser)
    parser.add_argument('--skip-blocks', action='store_true', help='time the kernels only, and compile nothing')
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
