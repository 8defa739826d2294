"""What the figures of each step say, next to what is aimed at."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

OURS, THEIRS = 'ours', 'OpenMMLab'
# The aims of docs/performance, for the fastest of our ways, forward and backward.
EAGER_AIM, COMPILED_AIM, MEMORY_AIM = 1.8, 1.3, 0.7
BACKWARD = 'forward + backward'


class Claim(NamedTuple):
    """What was measured, and of which case; its value; and the aim, which is empty where there is none."""

    case: str
    text: str
    value: str
    aim: str = ''


def read_claims(entry: dict) -> list[Claim]:
    """Return what a step's figures say.

    Args:
        entry: A step of a `Record`. It may have figures of a part of its cases, or none.

    Example:
        >>> read_claims(dict(claim='demo', figures=dict(mIoU=0.83)))
        [Claim(case='demo', text='mIoU', value='0.830', aim='')]
    """
    if 'figures' not in entry:
        return []
    return list(READERS[entry['claim']](entry['figures']))


def read_aims(entries: Iterable[dict]) -> list[Claim]:
    """Return each aim of each case, next to the worst value of all steps: that against the best peer.

    Args:
        entries: Steps of a `Record`.
    """
    worst: dict[tuple[str, str], Claim] = {}
    for claim in (claim for entry in entries for claim in read_claims(entry)):
        least = claim.aim.startswith('at least')
        if not least and not claim.aim.startswith('at most'):
            continue
        known = worst.setdefault((claim.case, claim.aim), claim)
        if (_number(claim.value) < _number(known.value)) == least:
            worst[claim.case, claim.aim] = claim
    return list(worst.values())


def _number(text: str) -> float:
    return float(text.split()[0])


def _tests(figures: dict) -> Iterator[Claim]:
    counts = figures['counts']
    yield Claim('tests', 'outcomes', ', '.join(f'{count} {name}' for name, count in counts.items()), '0 failed')
    for name, test in figures['tests'].items():
        if test['outcome'] == 'failed':
            yield Claim('tests', name, 'failed')


def _backbone(figures: dict) -> Iterator[Claim]:
    for case in figures['cases']:
        for measured in case['passes']:
            where = f'{case["case"]}, {measured["pass"]}'
            aims = {'eager': EAGER_AIM, 'compiled': COMPILED_AIM} if measured['pass'] == BACKWARD else {}
            for name, ratio in measured['ratios'].items():
                kind = next((kind for kind in ('eager', 'compiled') if f'best {kind} peer' in name), '')
                if not kind:
                    continue
                own = name.partition(' vs ')[0].rstrip(',')
                has_aim = own == OURS and kind in aims
                against = f'{own} against {ratio["peer"]}'
                yield Claim(where, against, _times(ratio['ratio']), f'at least {aims[kind]}' if has_aim else '')
                if kind == 'eager':
                    aim = f'at most {MEMORY_AIM}' if has_aim else ''
                    yield Claim(where, f'{against}, added memory', f'{ratio["memory"]:.2f}', aim)
            limit = measured['limit']
            shares = f'{limit["of_matmul"]:.0%} of a product, {limit["of_bandwidth"]:.0%} of a copy'
            yield Claim(where, 'ours, of the measured rates', shares)


def _kernels(figures: dict) -> Iterator[Claim]:
    for case in figures['cases']:
        where = f'{case["case"]}, map {"x".join(map(str, case["map"]))}'
        for kernel in case['kernels']:
            shares = f'{1e6 * kernel["median"]:.0f} us, {kernel["of_bandwidth"]:.0%} of a copy'
            if kernel['of_matmul'] is not None:
                shares += f', {kernel["of_matmul"]:.0%} of a product'
            yield Claim(where, kernel['kernel'], shares)
        for measured in case['passes']:
            for name, ratio in measured['ratios'].items():
                text = f'block, {measured["pass"]}: {name} against {ratio["peer"]}'
                yield Claim(where, text, f'{_times(ratio["ratio"])}, {ratio["memory"]:.2f} of the memory')


def _training(figures: dict) -> Iterator[Claim]:
    for case in figures['cases']:
        ways = [case['switch']] if 'switch' in case else []
        ways += [name for name in case['switches'] if name not in ways]
        where = f'{case["config"]}, {", ".join(ways) or "no switch"}'
        if not case['first_losses']['agree']:
            yield Claim(where, 'the first losses', 'differ', 'equal')
        ours, ratio = case['contenders'][OURS], case['ratio']
        steps = ' and '.join(f'{1e3 * case["contenders"][name]["median"]:.1f}' for name in (OURS, THEIRS))
        yield Claim(where, "steps against OpenMMLab's", f'{_times(ratio["step_in_turn"])} ({steps} ms)')
        yield Claim(where, 'peak memory', f'{ratio["peak_memory"]:.2f}')
        yield Claim(where, 'p99 of our steps over p50', f'{ours["p99"] / ours["median"]:.2f}')


def _evaluation(figures: dict) -> Iterator[Claim]:
    for case in figures['cases']:
        for name, times in case['parts'].items():
            yield Claim(case['config'], f'{name}, an image', f'{1e3 * times["median"]:.1f} ms')
        yield Claim(case['config'], 'test', f'{case["images_per_second"]:.1f} images/s')


def _engines(figures: dict) -> Iterator[Claim]:
    for case in figures['cases']:
        where = f'{case["config"]}, {"x".join(map(str, case["shape"]))}'
        steps = ' and '.join(f'{1e3 * times["median"]:.1f}' for times in reversed(case['times'].values()))
        yield Claim(where, f'{case["way"]} against PyTorch', f'{_times(case["ratio"])} ({steps} ms)')


def _profile(figures: dict) -> Iterator[Claim]:
    for case in figures['cases']:
        yield Claim(case['config'], 'step', f'{1e3 * case["unprofiled_step"]:.1f} ms')
        for name, seconds in sorted(case['parts'].items(), key=lambda part: part[1], reverse=True):
            yield Claim(case['config'], f'{name}, of the step', f'{seconds / case["step"]:.0%}')


def _demo(figures: dict) -> Iterator[Claim]:
    for name, value in figures.items():
        if isinstance(value, float):
            yield Claim('demo', name, f'{value:.3f}')


def _times(ratio: float) -> str:
    return f'{ratio:.2f} times as fast'


READERS: dict[str, Callable[[dict], Iterator[Claim]]] = {
    'tests': _tests,
    'backbone': _backbone,
    'kernels': _kernels,
    'training': _training,
    'switches': _training,
    'evaluation': _evaluation,
    'engines': _engines,
    'profile': _profile,
    'demo': _demo,
}
