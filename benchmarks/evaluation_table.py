"""The table of what testing took."""

import statistics
from collections.abc import Iterator

from benchmarks.evaluation import EvaluationTimes, summary
from benchmarks.measure import format_table
from benchmarks.stopwatch import PARTS


def evaluation_table(times: EvaluationTimes) -> str:
    """Return the times of testing as a table.

    Args:
        times: As of `measure_evaluation`.
    """
    return '\n'.join(_lines(times))


def _lines(times: EvaluationTimes) -> Iterator[str]:
    total = 1 / times.images_per_second
    rows = []
    for name in PARTS:
        rows.append(_row(name, times.seconds[name], total))
        if name == 'post-processing':
            rows += [_row(f'  {head}', values, total) for head, values in times.post_processing.items()]
    rows.append(['metric', '', '', *_mean(times.metric_per_image, total)])
    rows.append(['all', '', '', *_mean(total, total)])
    yield format_table(['ms per image', 'median', 'p90', 'mean', 'share'], rows)
    machine = {name: value for name, value in times.machine.items() if name != 'versions'}
    yield ''
    yield f'{times.images_per_second:.2f} images/s, {times.images} images in batches of {times.batch_size}'
    yield f'metric: {times.metric_seconds:.2f} s for {times.metric_images} images'
    if times.against_mmdet:
        ours, theirs = (statistics.median(times.against_mmdet[name]) for name in ('ours', 'mmdet'))
        yield (
            f"mmdet's CocoMetric: {theirs:.2f} s, ours {ours:.2f} s on the same predictions, "
            f'{times.against_mmdet["ratio"]:.2f} times as fast; '
            f'values differ by {times.against_mmdet["largest_difference"]:.1g} at most'
        )
    yield f'peak memory: {times.peak_memory / 2**20:.0f} MiB'
    yield ', '.join(f'{name} {value}' for name, value in machine.items())
    yield ', '.join(f'{name} {version}' for name, version in times.machine['versions'].items())
    if times.note:
        yield times.note


def _row(name: str, values: list[float], total: float) -> list[str]:
    figures = summary(values)
    return [
        name,
        f'{1e3 * figures["median"]:.2f}',
        f'{1e3 * figures["p90"]:.2f}',
        *_mean(figures['mean'], total),
    ]


def _mean(seconds: float, total: float) -> list[str]:
    return [f'{1e3 * seconds:.2f}', f'{seconds / total:.1%}']
