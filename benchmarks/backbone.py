"""Times a backbone against the same one of other libraries, each in its best setting."""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases import check_kernels_run
from benchmarks.limits import fewest_bytes, measure_bandwidth, measure_matmul_rate
from benchmarks.measure import (
    added_memory,
    format_table,
    ratio_in_turn,
    summarize,
    time_in_turn,
)
from benchmarks.peers import OURS, build_contenders, build_ours
from convnext_dense.kernels.autotune import reset_autotuning
from convnext_dense.meta_device import without_allocating

LAYOUTS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}
MODES = ('eager', 'compiled')
WORKS = ('forward', 'forward + backward')
# How far the maps of two settings may differ, of their maximum. TF32 and half precision round each product.
TOLERANCES = {torch.float32: 1e-2, torch.bfloat16: 0.1, torch.float16: 0.05}
# The backward pass has twice the forward's multiply-adds: for the input's gradient, and for the weights'.
PASSES = {'forward': 1, 'forward + backward': 3}


class Setting(NamedTuple):
    """How a library's backbone is run."""

    library: str
    layout: str
    mode: str

    def __str__(self) -> str:
        return f'{self.library}, {self.layout}, {self.mode}'


def benchmark_backbone(
    arch: str,
    shape: Sequence[int],
    dtype: torch.dtype,
    device: torch.device,
    v2: bool = False,
    libraries: list[str] | None = None,
    rounds: int = 20,
    warm_up: int = 3,
    kernels: str = 'torch',
) -> list[dict]:
    """Time one size of ConvNeXt by every library at one shape: the forward pass, and forward and backward.

    Each library runs contiguous and channels-last, eager and compiled, all in turn within each round. A library's best
    setting is the one of the least median.

    Args:
        arch: A key of `ConvNeXt.arch_settings`.
        shape: Of the images: (N, 3, H, W), H and W in pixels.
        dtype: Below float32 by autocast.
        device: Where it runs.
        v2: Whether it is ConvNeXt V2.
        libraries: As in `build_contenders`.
        rounds: How many times each setting is timed.
        warm_up: How many rounds go before, untimed; the first compiles.
        kernels: What ours runs by, as in `ConvNeXt`.

    Returns:
        One dict for the forward pass and one for both: ``work``, ``settings`` (library, layout, mode, the times of
        `summarize` in seconds, ``memory`` in bytes), ``best`` of each library, ``ratios`` to the best peer (``any``,
        ``eager``, ``compiled``): of its time to ours, and in ``memory`` of our memory to its; and ``limit``.

    Raises:
        UsageError: As `build_contenders` does, or if `kernels` is 'triton' where the kernels cannot run.
        RuntimeError: If a library's maps are not the same in all its settings.

    Example:
        >>> works = benchmark_backbone('atto', (1, 3, 64, 64), torch.float32, torch.device('cpu'))  # doctest: +SKIP
        >>> works[0]['ratios']['any']  # doctest: +SKIP
        1.07
    """
    if kernels == 'triton':
        check_kernels_run('--kernels triton', dtype, device)
    models = _prepare(build_contenders(arch, v2, libraries, kernels), device)
    images = torch.randn(shape, device=device)
    inputs = {name: images.contiguous(memory_format=layout) for name, layout in LAYOUTS.items()}
    flops = count_flops(arch, shape, v2)
    rates = dict(matmul_rate=measure_matmul_rate(dtype, device), bandwidth=measure_bandwidth(device))
    results = []
    for work in WORKS:
        for model in models.values():
            model.train(work != 'forward')
        calls = {
            setting: _call(work, model, inputs[setting.layout], dtype, device) for setting, model in models.items()
        }
        # A function that is compiled too often would else run eager, and be timed as compiled.
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
            with torch.set_grad_enabled(work != 'forward'):
                check_settings(models, inputs, dtype, device)
            seconds = time_in_turn(calls, device, rounds, warm_up)
            memory = {setting: added_memory(call, device) for setting, call in calls.items()}
        results.append(
            dict(
                work=work,
                settings=[
                    dict(**setting._asdict(), **summarize(seconds[setting]), memory=memory[setting])
                    for setting in calls
                ],
                **_compare(seconds, memory),
            )
        )
        results[-1]['limit'] = _limit(
            results[-1], PASSES[work] * flops, fewest_bytes(work, arch, shape, dtype, v2), **rates
        )
    return results


def count_flops(arch: str, shape: Sequence[int], v2: bool = False) -> int:
    """Return the floating-point operations of a forward pass, two to a multiply-add.

    Example:
        >>> count_flops('tiny', (1, 3, 224, 224)) / 2e9  # doctest: +ELLIPSIS
        4.45...
    """
    with without_allocating(), FlopCounterMode(display=False) as counter:
        build_ours(arch, v2)(torch.empty(tuple(shape)))
    return counter.get_total_flops()


def format_works(works: Sequence[dict]) -> str:
    """Return the figures of `benchmark_backbone` as a table for each work, with the ratios below it."""
    parts = []
    for work in works:
        fastest = min(each['median'] for each in work['settings'])
        rows = [
            [
                f'{each["library"]}, {each["layout"]}, {each["mode"]}',
                f'{each["median"] * 1e3:.1f}',
                f'{each["p10"] * 1e3:.1f} - {each["p90"] * 1e3:.1f}',
                f'{fastest / each["median"]:.2f}',
                f'{each["memory"] / 2**20:.1f}',
            ]
            for each in sorted(work['settings'], key=lambda each: each['median'])
        ]
        parts.append(format_table([work['work'], 'ms', 'p10 - p90', 'of fastest', 'added MiB'], rows))
        for kind, ratio in work['ratios'].items():
            parts.append(
                f'ours : best {kind} peer ({ratio["peer"]}) = {ratio["ratio"]:.3f}, with {ratio["memory"]:.2f} times '
                'the added memory'
            )
        limit = work['limit']
        parts.append(
            f'ours is at {limit["of_matmul_rate"]:.0%} of the measured matmul rate ({limit["matmul_rate"] / 1e12:.2f} '
            f'TFLOP/s), and its fewest bytes at {limit["of_bandwidth"]:.0%} of the measured bandwidth '
            f'({limit["bandwidth"] / 1e9:.0f} GB/s)\n'
        )
    return '\n'.join(parts)


def _prepare(contenders: dict[str, nn.Module], device: torch.device) -> dict[Setting, nn.Module]:
    """Return each contender in each of its settings, on the device."""
    # What was compiled for other shapes would count against the number of compilations that a function may have.
    torch.compiler.reset()
    # And of the kernels, later shapes are tuned within a budget.
    reset_autotuning()
    models = {}
    for (library, model), (layout, memory_format) in product(contenders.items(), LAYOUTS.items()):
        placed = copy.deepcopy(model).to(device, memory_format=memory_format)
        models[Setting(library, layout, 'eager')] = placed
        models[Setting(library, layout, 'compiled')] = torch.compile(placed, dynamic=False)
    return models


def check_settings(
    models: dict[Setting, nn.Module], inputs: dict[str, Tensor], dtype: torch.dtype, device: torch.device
) -> None:
    """Raise RuntimeError unless each library gives the same maps in all its settings.

    Args:
        models: The backbones.
        inputs: The images by layout.
        dtype: As in `benchmark_backbone`.
        device: Where they run.
    """
    firsts: dict[str, list[Tensor]] = {}
    for setting, model in models.items():
        with autocast_to(dtype, device):
            maps = [each.detach().float() for each in model(inputs[setting.layout])]
        for own, first in zip(maps, firsts.setdefault(setting.library, maps), strict=True):
            difference = (own - first).abs().max() / first.abs().max()
            if not difference < TOLERANCES[dtype]:
                raise RuntimeError(
                    f'{setting} gives other maps than the first setting: {difference:.2g} of the maximum.'
                )


def autocast_to(dtype: torch.dtype, device: torch.device) -> AbstractContextManager:
    """Return autocast to a half precision, or nothing for float32.

    Example:
        >>> with autocast_to(torch.bfloat16, torch.device('cpu')):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def _call(work: str, model: nn.Module, images: Tensor, dtype: torch.dtype, device: torch.device) -> Callable[[], None]:
    """Return what is timed: a pass of the model over the images."""
    precision = autocast_to(dtype, device)
    gradients = None

    def forward() -> None:
        with torch.no_grad(), precision:
            model(images)

    def forward_and_backward() -> None:
        nonlocal gradients
        with precision:
            maps = model(images)
        if gradients is None:
            gradients = [torch.randn_like(each) for each in maps]
        torch.autograd.backward(maps, gradients)
        model.zero_grad(set_to_none=True)

    return forward if work == 'forward' else forward_and_backward


def _compare(seconds: dict[Setting, list[float]], memory: dict[Setting, int]) -> dict:
    """Return the best setting of each library, and how ours compares with the best peer of each kind."""

    def best(among: list[Setting]) -> Setting:
        return min(among, key=lambda setting: summarize(seconds[setting])['median'])

    libraries = dict.fromkeys(setting.library for setting in seconds)
    ours = best([setting for setting in seconds if setting.library == OURS])
    ratios = {}
    for kind, modes in {'any': MODES, 'eager': ('eager',), 'compiled': ('compiled',)}.items():
        peers = [setting for setting in seconds if setting.library != OURS and setting.mode in modes]
        if peers:
            peer = best(peers)
            ratios[kind] = dict(
                peer=str(peer),
                ratio=ratio_in_turn(seconds[ours], seconds[peer]),
                memory=memory[ours] / memory[peer],
            )
    return dict(
        best={library: str(best([each for each in seconds if each.library == library])) for library in libraries},
        ratios=ratios,
    )


def _limit(figures: dict, flops: int, moved: int, matmul_rate: float, bandwidth: float) -> dict:
    """Return how near our best setting is to the measured rates of the hardware."""
    ours = min(each['median'] for each in figures['settings'] if each['library'] == OURS)
    return dict(
        flops=flops,
        bytes=moved,
        matmul_rate=matmul_rate,
        bandwidth=bandwidth,
        of_matmul_rate=flops / matmul_rate / ours,
        of_bandwidth=moved / bandwidth / ours,
    )
