"""Times a whole ConvNeXt block by PyTorch and by the kernels."""

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.backbone import WORKS, autocast_to
from benchmarks.measure import added_memory, format_table, ratio_in_turn, summarize, time_in_turn
from benchmarks.peers import randomize
from convnext_dense.backbones import ConvNeXt

# How far outputs and gradients may differ, of their maximum: a norm's weight sums roundings up over all pixels, in
# bfloat16 to 0.15 in PyTorch itself on a CPU.
TOLERANCES = {torch.float32: 0.05, torch.bfloat16: 0.25, torch.float16: 0.05}
# Between two waits for the GPU, so that the host runs ahead of it as it does in training; a CPU has no queue.
QUEUED_CALLS = {'cuda': 10, 'cpu': 1}


class Form(NamedTuple):
    """How a block runs: the arguments of `ConvNeXt`, whether it is compiled, and the form it is compared with."""

    kernels: str
    recompute_hidden: bool
    compiled: bool
    peer: str | None


FORMS = {
    'PyTorch, eager': Form('torch', False, False, None),
    'PyTorch, compiled': Form('torch', False, True, None),
    'kernels, eager': Form('triton', False, False, 'PyTorch, eager'),
    'kernels, compiled': Form('triton', False, True, 'PyTorch, compiled'),
    'kernels, eager, hidden layer recomputed': Form('triton', True, False, 'PyTorch, eager'),
}


def benchmark_block(x: Tensor, dtype: torch.dtype, v2: bool = False, rounds: int = 20, warm_up: int = 3) -> list[dict]:
    """Time a block in each of `FORMS`, in turn, once they were found to compute the same.

    Args:
        x: The block's input, (N, C, H, W), channels-last, where the kernels can run.
        dtype: Below float32 by autocast.
        v2: Whether the block has a GRN, and no LayerScale.
        rounds: How many times each form is timed.
        warm_up: How many rounds go before, untimed.

    Returns:
        One dict for the forward pass and one for forward and backward: ``work``; ``forms``, of each its name, the times
        of `summarize` in seconds and ``memory``, the peak added, in bytes; ``ratios``, of each form of the kernels
        ``peer``, ``ratio`` of the peer's time to its, and ``memory``, its memory to the peer's.

    Raises:
        RuntimeError: If two forms' outputs or gradients differ.

    Example:
        >>> x = torch.rand(2, 96, 56, 56, device='cuda').to(memory_format=torch.channels_last)  # doctest: +SKIP
        >>> works = benchmark_block(x, torch.bfloat16)  # doctest: +SKIP
        >>> works[1]['ratios']['kernels, eager']['ratio']  # doctest: +SKIP
        1.7
    """
    blocks = _build(x, v2)
    x = x.detach().requires_grad_()
    gradient = torch.randn_like(x)
    results = []
    # A function that is compiled too often would else run eager, and be timed as compiled.
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        _check_same({name: _train(block, x, gradient, dtype) for name, block in blocks.items()}, TOLERANCES[dtype])
        for work in WORKS:
            for block in blocks.values():
                block.train(work != 'forward')
            calls = {name: _call(work, block, x, gradient, dtype) for name, block in blocks.items()}
            times = QUEUED_CALLS[x.device.type]
            queued = {name: _repeated(call, times) for name, call in calls.items()}
            seconds = {
                name: [each / times for each in measured]
                for name, measured in time_in_turn(queued, x.device, rounds, warm_up).items()
            }
            memory = {name: added_memory(call, x.device) for name, call in calls.items()}
            results.append(
                dict(
                    work=work,
                    forms=[dict(form=name, **summarize(seconds[name]), memory=memory[name]) for name in calls],
                    ratios={
                        name: dict(
                            peer=form.peer,
                            ratio=ratio_in_turn(seconds[name], seconds[form.peer]),
                            memory=memory[name] / memory[form.peer],
                        )
                        for name, form in FORMS.items()
                        if form.peer
                    },
                )
            )
    return results


def format_block(works: Sequence[dict]) -> str:
    """Return the figures of `benchmark_block` as a table for each work, with the ratios below it."""
    parts = []
    for work in works:
        rows = [
            [
                each['form'],
                f'{each["median"] * 1e3:.3f}',
                f'{each["p10"] * 1e3:.3f} - {each["p90"] * 1e3:.3f}',
                f'{each["memory"] / 2**20:.1f}',
            ]
            for each in work['forms']
        ]
        parts.append(format_table([f'block, {work["work"]}', 'ms', 'p10 - p90', 'added MiB'], rows))
        for name, ratio in work['ratios'].items():
            parts.append(
                f'{name}: {ratio["ratio"]:.3f} times as fast as {ratio["peer"]}, '
                f'with {ratio["memory"]:.2f} times the added memory'
            )
    return '\n'.join(parts)


def _build(x: Tensor, v2: bool) -> dict[str, nn.Module]:
    """Return the block in each form, with the same weights."""
    torch.compiler.reset()
    arch = dict(depths=[1], channels=[x.shape[1]])
    backbone = ConvNeXt(arch, use_grn=v2, layer_scale_init_value=0.0 if v2 else 1e-6, out_indices=0)
    original = randomize(backbone.stages[0][0]).to(x.device, memory_format=torch.channels_last)
    blocks = {}
    for name, form in FORMS.items():
        block = copy.deepcopy(original)
        block.kernels, block.recompute_hidden = form.kernels, form.recompute_hidden
        blocks[name] = torch.compile(block, dynamic=False) if form.compiled else block
    return blocks


def _repeated(call: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def _train(block: nn.Module, x: Tensor, gradient: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the output, and the gradients of the input and the parameters."""
    with autocast_to(dtype, x.device):
        out = block(x)
    out.backward(gradient)
    results = {'output': out.detach(), 'input': x.grad}
    results |= {name: parameter.grad for name, parameter in block.named_parameters()}
    x.grad = None
    block.zero_grad(set_to_none=True)
    return results


def _check_same(results: dict[str, dict[str, Tensor]], tolerance: float) -> None:
    """Raise RuntimeError unless each form gives the first's output and gradients, but for roundings."""
    (_, first), *others = results.items()
    for form, own in others:
        for (name, expected), given in zip(first.items(), own.values(), strict=True):
            difference = ((given.float() - expected.float()).abs().max() / expected.float().abs().max()).item()
            if not difference < tolerance:
                what = name if name == 'output' else f'gradient of {name}'
                raise RuntimeError(f'{form}: another {what} than in PyTorch, by {difference:.2g} of the maximum.')


def _call(work: str, block: nn.Module, x: Tensor, gradient: Tensor, dtype: torch.dtype) -> Callable[[], object]:
    """Return what is timed."""

    def forward() -> None:
        with torch.no_grad(), autocast_to(dtype, x.device):
            block(x)

    return forward if work == 'forward' else lambda: _train(block, x, gradient, dtype)
