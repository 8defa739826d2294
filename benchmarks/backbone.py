"""Time our ConvNeXt against timm's, torchvision's, mmpretrain's and transformers', each in its best variant.

Every library runs contiguous and channels-last, eager and compiled, all in turn: the forward pass, and forward and
backward. Printed are the median of each variant, its spread and peak memory, the ratio of ours to the best peer, and
how close ours is to the measured limits of the hardware.
"""

import argparse
import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.cases import PASSES, Case, add_case_arguments, check_kernels_run, parse_cases, run_benchmark
from benchmarks.measure import default_device, measure_rates, summarize
from benchmarks.passes import check_close, compare, compute_outputs, format_passes, time_passes
from benchmarks.peers import BUILDERS, OURS, build_contenders, build_ours, randomize
from convnext_dense.backbones import ConvNeXt
from convnext_dense.cli.arguments import at_least
from convnext_dense.errors import UsageError
from convnext_dense.kernels import CHOICES
from convnext_dense.kernels.autotune import reset_autotuning

# The defaults of a GPU would take hours on a CPU.
ARCHS = {'cuda': ['tiny', 'base'], 'cpu': ['tiny']}
SHAPES = {'cuda': ['16x3x512x512', '2x3x800x1344', '64x3x224x224'], 'cpu': ['2x3x384x384']}
LAYOUTS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}
MODES = ('eager', 'compiled')
# How far two variants may differ, relative to the maximum. TF32 and half precision round every product.
MAP_TOLERANCES = {torch.float32: 1e-2, torch.bfloat16: 0.1, torch.float16: 0.05}
# The gradient of a norm's weight sums up roundings over all pixels: to 0.15 in PyTorch's own bfloat16 on a CPU.
GRADIENT_TOLERANCES = {torch.float32: 0.05, torch.bfloat16: 0.25, torch.float16: 0.05}
# Blocks are called so often between two waits for a GPU: the host runs ahead of it, as in training.
QUEUED_CALLS = {'cuda': 10, 'cpu': 1}


class Variant(NamedTuple):
    """How a library's backbone is run."""

    library: str
    layout: str
    mode: str
    kernels: str = 'torch'

    def __str__(self) -> str:
        words = (self.library, self.layout, self.mode)
        return ', '.join(words if self.kernels == 'torch' else (*words, f'kernels {self.kernels}'))


class BlockVariant(NamedTuple):
    """How a block is run: arguments of `ConvNeXt`, and whether it is compiled; and what it is compared with."""

    kernels: str
    recompute_hidden: bool
    mode: str
    peer: str | None


BLOCK_VARIANTS = {
    'PyTorch, eager': BlockVariant('torch', False, 'eager', None),
    'PyTorch, compiled': BlockVariant('torch', False, 'compiled', None),
    'kernels, eager': BlockVariant('triton', False, 'eager', 'PyTorch, eager'),
    'kernels, compiled': BlockVariant('triton', False, 'compiled', 'PyTorch, compiled'),
    'kernels, eager, hidden layer recomputed': BlockVariant('triton', True, 'eager', 'PyTorch, eager'),
}


def benchmark_backbone(
    case: Case,
    libraries: Sequence[str] | None = None,
    kernels: Sequence[str] = ('torch',),
    layouts: Sequence[str] = tuple(LAYOUTS),
    modes: Sequence[str] = MODES,
    passes: Sequence[str] = PASSES,
) -> list[dict]:
    """Time one size of ConvNeXt from every library.

    Args:
        case: The size, and the images.
        libraries: As in `build_contenders`.
        kernels: How ours runs, as in `ConvNeXt`. Several are contenders of each other, with the same weights.
        layouts: Of `LAYOUTS`, in which every library runs.
        modes: Of `MODES`, in which every library runs.
        passes: Of `PASSES`, which are timed.

    Returns:
        For each pass a dict: ``pass``; ``variants``, each with the times of `summarize` in seconds and ``memory`` in
        bytes; ``best``, each library's fastest variant; ``ratios`` to the best peer of ``any`` mode, ``eager`` and
        ``compiled``: of its time to ours, and of our memory to its; and ``limit``. If ours runs in several ways, there
        is a ratio for the fastest of each.

    Raises:
        UsageError: As `build_contenders` does, or if the kernels cannot run here.
        RuntimeError: If the variants of a library differ in their maps.
    """
    if 'triton' in kernels:
        check_kernels_run(case)
    contenders = {(name, 'torch'): model for name, model in build_contenders(case.arch, case.v2, libraries).items()}
    ours = contenders.pop((OURS, 'torch'))
    for choice in kernels:
        contenders[OURS, choice] = build_ours(case.arch, case.v2, choice)
        contenders[OURS, choice].load_state_dict(ours.state_dict())
    torch.compiler.reset()
    # Autotuning has a time budget per process, which the shapes before may have used up.
    reset_autotuning()
    images = torch.randn(case.shape, device=case.device)
    models: dict[Variant, nn.Module] = {}
    inputs: dict[Variant, Tensor] = {}
    for ((library, choice), model), layout in product(contenders.items(), layouts):
        eager = copy.deepcopy(model).to(case.device, memory_format=LAYOUTS[layout])
        for mode in modes:
            variant = Variant(library, layout, mode, choice)
            models[variant] = eager if mode == 'eager' else torch.compile(eager, dynamic=False)
            inputs[variant] = images.contiguous(memory_format=LAYOUTS[layout])
    rates = measure_rates(case.dtype, case.device)
    results = []
    for pass_name, seconds, memory in time_passes(models, inputs, case, _check_maps, passes=passes):
        variants = [dict(variant=str(v), **v._asdict(), **summarize(seconds[v]), memory=memory[v]) for v in models]
        comparison = _compare_libraries(seconds, memory)
        ours = summarize(seconds[comparison['best'][OURS]])['median']
        limit = dict(flops=case.flops(pass_name), bytes=case.fewest_bytes(pass_name), **rates)
        limit['of_matmul'] = limit['flops'] / rates['matmul'] / ours
        limit['of_bandwidth'] = limit['bytes'] / rates['bandwidth'] / ours
        comparison['best'] = {library: str(variant) for library, variant in comparison['best'].items()}
        results.append({'pass': pass_name, 'variants': variants, **comparison, 'limit': limit})
    return results


def benchmark_block(x: Tensor, case: Case) -> list[dict]:
    """Time a block as each of `BLOCK_VARIANTS`, in turn, after checking that they compute the same.

    Args:
        x: The block's input, (N, C, H, W), channels-last, where the kernels can run.
        case: What the block is a part of.

    Returns:
        For each of `PASSES` a dict: ``pass``; ``variants``, each with the times of `summarize` in seconds and
        ``memory`` in bytes; and ``ratios`` of the kernels' variants to their ``peer``.

    Raises:
        RuntimeError: If outputs or gradients differ.
    """
    torch.compiler.reset()
    arch = dict(depths=[1], channels=[x.shape[1]])
    backbone = ConvNeXt(arch, use_grn=case.v2, layer_scale_init_value=0.0 if case.v2 else 1e-6, out_indices=0)
    original = randomize(backbone.stages[0][0]).to(x.device, memory_format=torch.channels_last)
    models = {}
    for name, variant in BLOCK_VARIANTS.items():
        block = copy.deepcopy(original)
        block.kernels, block.recompute_hidden = variant.kernels, variant.recompute_hidden
        models[name] = torch.compile(block, dynamic=False) if variant.mode == 'compiled' else block
    inputs = dict.fromkeys(models, x.detach().requires_grad_())
    queued = QUEUED_CALLS[x.device.type]
    return [
        {
            'pass': pass_name,
            'variants': [dict(variant=name, **summarize(seconds[name]), memory=memory[name]) for name in models],
            'ratios': {
                name: compare(name, variant.peer, seconds, memory)
                for name, variant in BLOCK_VARIANTS.items()
                if variant.peer
            },
        }
        for pass_name, seconds, memory in time_passes(models, inputs, case, _check_gradients, queued)
    ]


def _check_maps(models: Mapping[Variant, nn.Module], inputs: Mapping[Variant, Tensor], case: Case) -> None:
    """Raise RuntimeError unless each library's variants give the same maps."""
    firsts: dict[str, dict[str, Tensor]] = {}
    for variant, model in models.items():
        with torch.set_grad_enabled(model.training):
            maps = {f'map {i}': x.detach() for i, x in enumerate(compute_outputs(model, inputs[variant], case))}
        check_close(variant, maps, firsts.setdefault(variant.library, maps), MAP_TOLERANCES[case.dtype])


def _check_gradients(models: Mapping[str, nn.Module], inputs: Mapping[str, Tensor], case: Case) -> None:
    """Raise RuntimeError unless all blocks give the first one's output, and in training its gradients."""
    first = grad = None
    for variant, model in models.items():
        x = inputs[variant]
        with torch.set_grad_enabled(model.training):
            (output,) = compute_outputs(model, x, case)
        results = {'output': output.detach()}
        if model.training:
            grad = torch.randn_like(output) if grad is None else grad
            output.backward(grad)
            results['gradient of the input'] = x.grad
            # A compiled module prefixes the names.
            parameters = ((name.removeprefix('_orig_mod.'), p) for name, p in model.named_parameters())
            results |= {f'gradient of {name}': parameter.grad for name, parameter in parameters}
            x.grad = None
            model.zero_grad(set_to_none=True)
        first = first or results
        check_close(variant, results, first, GRADIENT_TOLERANCES[case.dtype])


def _compare_libraries(seconds: dict[Variant, list[float]], memory: dict[Variant, int]) -> dict:
    """Return each library's fastest variant, and how ours compares with the fastest peer of each mode."""

    def fastest(variants: list[Variant]) -> Variant:
        return min(variants, key=lambda variant: summarize(seconds[variant])['median'])

    libraries = dict.fromkeys(variant.library for variant in seconds)
    best = {library: fastest([v for v in seconds if v.library == library]) for library in libraries}
    contenders, ours = {'ours': best[OURS]}, [v for v in seconds if v.library == OURS]
    if len({v.kernels for v in ours}) > 1:
        for way in dict.fromkeys((v.mode, v.kernels) for v in ours):
            own = fastest([v for v in ours if (v.mode, v.kernels) == way])
            contenders[f'ours, {own.mode}, kernels {own.kernels},'] = own
    ratios = {}
    for kind, modes in {'any': MODES, 'eager': ('eager',), 'compiled': ('compiled',)}.items():
        if peers := [v for v in seconds if v.library != OURS and v.mode in modes]:
            for name, own in contenders.items():
                ratios[f'{name} vs best {kind} peer'] = compare(own, fastest(peers), seconds, memory)
    return dict(best=best, ratios=ratios)


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of each case of the command line."""
    if args.threads is not None:
        if args.threads < 1:
            raise UsageError(f'threads: must be at least 1; got {args.threads}.')
        torch.set_num_threads(args.threads)
    device = default_device()
    for case in parse_cases(args, ARCHS[device.type], SHAPES[device.type], device):
        passes = benchmark_backbone(case, args.libraries, args.kernels, args.layouts, args.modes, args.passes)
        yield dict(**case.to_dict(), kernels=args.kernels, passes=passes)


def table(figures: dict) -> str:
    """Return the figures of a case as text."""
    return format_passes(figures['passes'], f'{figures["case"]}, kernels {" and ".join(figures["kernels"])}')


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_case_arguments(parser)
    parser.add_argument(
        '--kernels', nargs='+', choices=CHOICES, default=['torch'], help='how our blocks run; by default torch'
    )
    parser.add_argument('--layouts', nargs='+', choices=LAYOUTS, default=list(LAYOUTS), help='by default both')
    parser.add_argument('--modes', nargs='+', choices=MODES, default=MODES, help='by default both')
    parser.add_argument('--passes', nargs='+', choices=PASSES, default=PASSES, help='by default both')
    parser.add_argument(
        '--libraries', nargs='+', metavar='NAME', help=f'of {", ".join(BUILDERS)}; by default all that are installed'
    )
    parser.add_argument('--threads', type=at_least(1), help='number of CPU threads')
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
