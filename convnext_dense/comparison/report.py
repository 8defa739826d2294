"""The report of a comparison: a table, a plot of score against cost, and a page that holds both."""

import csv
import html
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path

from convnext_dense.comparison.facts import recipe_facts
from convnext_dense.comparison.runs import Comparison, Run
from convnext_dense.config.training_options.metrics import points_factor
from convnext_dense.reports.page import html_facts, html_page, html_table
from convnext_dense.reports.plot import plot_scores
from convnext_dense.reports.table import format_table

# What the report calls mmdet's and mmseg's main scores.
SCORES = {
    'coco/bbox_mAP': 'box AP',
    'coco/segm_mAP': 'mask AP',
    'coco_panoptic/PQ': 'PQ',
    'pascal_voc/mAP': 'mAP',
    'mIoU': 'mIoU',
}
MISSING = '-'
EXPLANATION = """<p>Scores are those of the last validation, in percent. Several seeds have the mean and the
standard deviation of their scores, and the median of speed and time; a seed that failed or diverged is left out, and
the score says so. Speed is measured in training, and holds for the device below. Peak memory is what PyTorch allocated
on a GPU, and on a CPU the process's. Parameters and FLOPs are of the whole model, counted as convnext-dense flops
does.</p>"""


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json``, ``.csv``, ``.png`` and ``.html`` of the runs that are done.

    Args:
        comparison: The comparison.
        folder: Where to.

    Example:
        >>> write_report(comparison, Path('work_dirs/compare'))  # doctest: +SKIP
    """
    rows = [_row(comparison, backbone) for backbone in comparison.complexity]
    scores = list(dict.fromkeys(name for row in rows for name in row['scores']))
    columns = _columns(scores, comparison)
    cells = [[_cell(row, column) for column in columns] for row in rows]
    with (folder / 'comparison.csv').open('w', encoding='utf-8', errors='backslashreplace', newline='') as file:
        csv.writer(file).writerows([columns, *cells])
    facts = recipe_facts(comparison)
    content = dict(config=comparison.config, command=comparison.command, facts=facts, rows=rows)
    (folder / 'comparison.json').write_text(json.dumps(content, indent=2) + '\n')
    plot = _plot(rows, scores, comparison.shape, folder / 'comparison.png')
    (folder / 'comparison.html').write_text(_page(comparison, columns, cells, plot, facts), encoding='utf-8')


def comparison_table(folder: Path) -> str:
    """Return the table of a report as text.

    Args:
        folder: Where the report is.

    Example:
        >>> print(comparison_table(Path('work_dirs/compare')))  # doctest: +SKIP
    """
    with (folder / 'comparison.csv').open(newline='') as file:
        header, *rows = csv.reader(file)
    return format_table(rows, header)


def _row(comparison: Comparison, backbone: str) -> dict:
    runs = [run for run in comparison.runs if run.backbone == backbone]
    # A run that failed is no result, whatever it has written.
    costs = [run.cost for run in runs if run.cost and not run.failure]
    scores = {}
    for key, name in SCORES.items():
        values = [cost['metrics'].get(key, math.nan) * (points_factor(key) or 1.0) for cost in costs]
        if finite := [value for value in values if math.isfinite(value)]:
            scores[name] = finite
    params, flops = comparison.complexity[backbone]
    return dict(
        backbone=backbone,
        scores=scores,
        runs=len(runs),
        failures={str(run.seed): run.failure for run in runs if run.failure},
        diverged=[run.seed for run in runs if run.has_diverged],
        skipped_steps={str(run.seed): count for run in runs if (count := _skipped(run))},
        params=params,
        flops=flops,
        images_per_second=[cost['images_per_second'] for cost in costs if cost['images_per_second']],
        peak_memory=[cost['peak_memory'] for cost in costs],
        seconds=[cost['seconds'] for cost in costs],
    )


def _columns(scores: list[str], comparison: Comparison) -> list[str]:
    height, width = comparison.shape
    return [
        'backbone',
        *scores,
        'params (M)',
        f'FLOPs at {height} x {width} (G)',
        'images/s in training',
        'peak memory (MB)',
        'training time (min)',
    ]


def _cell(row: dict, column: str) -> str:
    if column == 'backbone':
        return row['backbone']
    if column in row['scores']:
        values = row['scores'][column]
        # Runs that are still to come are said above the table.
        is_partial = row['failures'] or len(values) < len(row['seconds'])
        return _spread(values) + (f' ({len(values)} of {row["runs"]} seeds{_diverged(row)})' if is_partial else '')
    if column.startswith('params'):
        return f'{row["params"] / 1e6:.1f}'
    if column.startswith('FLOPs'):
        return f'{row["flops"] / 1e9:.2f}' if row['flops'] else MISSING
    if column.startswith('images/s'):
        return _median(row['images_per_second'], 1)
    if column.startswith('peak'):
        return f'{max(row["peak_memory"]) / 2**20:.0f}' if row['peak_memory'] else MISSING
    if column.startswith('training'):
        return _median(row['seconds'], 60)
    return MISSING


def _diverged(row: dict) -> str:
    """Say which seeds diverged, as the end of how many seeds a score is of."""
    seeds = ', '.join(map(str, row['diverged']))
    return f'; {seeds} diverged' if seeds else ''


def _skipped(run: Run) -> int:
    return (run.cost or {}).get('skipped_steps', 0)


def _spread(values: list[float]) -> str:
    mean = f'{statistics.mean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def _median(values: list[float], unit: float) -> str:
    return f'{statistics.median(values) / unit:.1f}' if values else MISSING


def _plot(rows: list[dict], scores: list[str], shape: tuple[int, int], file: Path) -> str:
    """Plot the first score against multiply-adds, parameters and speed."""
    done = [row for row in rows if scores and row['scores'].get(scores[0])]
    costs = {
        f'FLOPs at {shape[0]} x {shape[1]} (G)': [row['flops'] / 1e9 if row['flops'] else math.nan for row in done],
        'params (M)': [row['params'] / 1e6 for row in done],
        'images/s in training': [statistics.median(row['images_per_second'] or [0]) for row in done],
    }
    names = [row['backbone'] for row in done]
    values = [row['scores'][scores[0]] for row in done]
    return plot_scores(names, scores[0] if scores else 'score', values, costs, file)


def _page(comparison: Comparison, columns: list[str], cells: list[list[str]], plot: str, facts: dict[str, str]) -> str:
    return html_page('Backbones compared', *_sections(comparison, columns, cells, plot, facts))


def _sections(
    comparison: Comparison, columns: list[str], cells: list[list[str]], plot: str, facts: dict[str, str]
) -> Iterator[str]:
    done = sum(run.cost is not None for run in comparison.runs)
    if done < len(comparison.runs):
        yield f'<p><b>{done} of {len(comparison.runs)} runs are done.</b></p>'
    for run in comparison.failed:
        what = 'Diverged' if run.has_diverged else 'Failed'
        yield f'<p><b>{what}: {html.escape(run.name)}.</b> {html.escape(run.failure)}</p>'
    for run in comparison.runs:
        if count := _skipped(run):
            steps = f'{count} {"step" if count == 1 else "steps"} of {run.cost["iterations"]}'
            yield (
                f'<p><b>{html.escape(run.name)}: {steps} left out</b>, since a loss or a gradient was not finite. Its '
                'score counts.</p>'
            )
    yield html_table(columns, cells)
    yield EXPLANATION
    if done:
        yield '<p>Curves, errors and predictions of all runs: <a href="report.html">report.html</a>.</p>'
    yield plot
    yield f'<h2>What was held fixed</h2>\n{html_facts(facts)}'
    if comparison.command:
        yield f'<h2>Made by</h2><pre>{html.escape(comparison.command)}</pre>'
