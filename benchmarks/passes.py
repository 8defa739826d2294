"""Times the forward and backward passes of networks that must compute the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.cases import PASSES, Case
from benchmarks.measure import added_memory, ratio_in_turn, time_in_turn
from convnext_dense.reports.table import format_table


def time_passes(
    models: Mapping[object, nn.Module],
    inputs: Mapping[object, Tensor],
    case: Case,
    check: Callable[[Mapping, Mapping, Case], None],
    queued: int = 1,
    passes: Sequence[str] = PASSES,
) -> Iterator[tuple[str, dict[object, list[float]], dict[object, int]]]:
    """Time passes of several models, in turn.

    Args:
        models: The models by variant.
        inputs: Their inputs by variant.
        case: How they are timed.
        check: Raises if the models do not compute the same.
        queued: Number of calls between two waits for a GPU.
        passes: Of `PASSES`.

    Yields:
        The name of the pass; the seconds of each round and the added memory in bytes, by variant.
    """
    for pass_name in passes:
        for model in models.values():
            model.train(pass_name != 'forward')
        calls = {variant: _prepare(pass_name, models[variant], inputs[variant], case) for variant in models}
        # By default, a function that is recompiled too often runs eager, and would be timed as compiled.
        with torch._dynamo.config.patch(fail_on_cache_limit_hit=True):
            check(models, inputs, case)
            repeated = {variant: partial(_repeat, call, queued) for variant, call in calls.items()}
            totals = time_in_turn(repeated, case.device, case.rounds, case.warm_up)
            memory = {variant: added_memory(call, case.device) for variant, call in calls.items()}
        yield pass_name, {variant: [total / queued for total in totals[variant]] for variant in calls}, memory


def compute_outputs(model: nn.Module, x: Tensor, case: Case) -> tuple[Tensor, ...]:
    """Run a model in the case's dtype, and return its one or more outputs."""
    with case.autocast():
        outputs = model(x)
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def check_close(variant: object, results: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Raise RuntimeError unless two variants give the same tensors.

    Args:
        variant: Name of the variant for the message.
        results: Its tensors by name.
        expected: The first variant's tensors.
        tolerance: How far they may differ, relative to the maximum.
    """
    for name, tensor in expected.items():
        difference = ((results[name].float() - tensor.float()).abs().max() / tensor.float().abs().max()).item()
        # Refuses NaN too.
        if not difference < tolerance:
            raise RuntimeError(f'{variant}: {name} differs from the first variant by {difference:.2g} of the maximum.')


def compare(own: object, peer: object, seconds: Mapping, memory: Mapping) -> dict:
    """Return how many times as fast as its peer a variant is, and how many times the peer's memory it adds."""
    ratio = ratio_in_turn(seconds[own], seconds[peer])
    return dict(peer=str(peer), ratio=ratio, memory=memory[own] / memory[peer])


def format_passes(passes: Sequence[dict], name: str) -> str:
    """Return a table for each pass, with the ratios below it.

    Args:
        passes: Figures of `benchmark_backbone` or `benchmark_block`.
        name: What was timed.
    """
    lines = []
    for figures in passes:
        variants = sorted(figures['variants'], key=lambda variant: variant['median'])
        rows = [
            [
                variant['variant'],
                f'{variant["median"] * 1e3:.3f}',
                f'{variant["p10"] * 1e3:.3f} - {variant["p90"] * 1e3:.3f}',
                f'{variants[0]["median"] / variant["median"]:.2f}',
                f'{variant["memory"] / 2**20:.1f}',
            ]
            for variant in variants
        ]
        lines.append(format_table(rows, [f'{name}, {figures["pass"]}', 'ms', 'p10 - p90', 'of fastest', 'added MiB']))
        for own, ratio in figures['ratios'].items():
            lines.append(
                f'{own}: {ratio["ratio"]:.3f} times as fast as {ratio["peer"]}, with {ratio["memory"]:.2f} times the '
                'added memory'
            )
        if limit := figures.get('limit'):
            lines.append(
                f'ours: {limit["of_matmul"]:.0%} of the measured matmul rate ({limit["matmul"] / 1e12:.2f} TFLOP/s), '
                f'{limit["of_bandwidth"]:.0%} of the measured bandwidth ({limit["bandwidth"] / 1e9:.0f} GB/s)\n'
            )
    return '\n'.join(lines)


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def _prepare(pass_name: str, model: nn.Module, x: Tensor, case: Case) -> Callable[[], None]:
    grads: list[Tensor] = []

    def forward() -> None:
        with torch.no_grad():
            compute_outputs(model, x, case)

    def forward_and_backward() -> None:
        outputs = compute_outputs(model, x, case)
        if not grads:
            grads.extend(torch.randn_like(output) for output in outputs)
        torch.autograd.backward(outputs, grads)
        model.zero_grad(set_to_none=True)
        x.grad = None

    return forward if pass_name == 'forward' else forward_and_backward
