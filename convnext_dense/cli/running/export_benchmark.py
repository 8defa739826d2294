"""Shows what `export --benchmark` measures, and writes it as JSON and as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convnext_dense.errors import UsageError
from convnext_dense.wording import counted

if TYPE_CHECKING:
    from convnext_dense.inference.find_model import FoundModel

# The last column is the score, by the name of its metric.
COLUMNS = ('', 'precision', 'ms (median)', 'ms (99%)', 'images/s', 'times as fast', 'memory (MiB)')
RATIO = "PyTorch's ms (median) divided by that of the row"


def show_benchmark(found: 'FoundModel', source: Sequence[str], files: Sequence[Path], images: list[str]) -> None:
    """Measure, print a table, and write ``FILE.benchmark.json`` and ``.html`` next to the first file.

    Args:
        found: The model.
        source: What it is found by.
        files: Exported files.
        images: Files to predict on.

    Raises:
        UsageError: If there are no images or files.
    """
    from convnext_dense.inference.exporting.benchmark import machine, measure_exports, score_name
    from convnext_dense.reports.page import html_facts, html_page, html_table
    from convnext_dense.reports.table import format_table

    if not images or not files:
        raise UsageError('benchmark: it needs images, by --check or by a validation set that is there.')
    rows, facts, score = measure_exports(found, source, files, images), machine(), score_name(found)
    header, cells = (*COLUMNS, score), [_cells(row) for row in rows]
    print(format_table(cells, header))
    print(f'Timed on {counted(len(images), "image")}. Times as fast: {RATIO}.')
    place = files[0].with_suffix('.benchmark.json')
    figures = dict(model=found.name, machine=facts, images=len(images), score=score, rows=rows)
    place.write_text(json.dumps(figures, indent=2) + '\n')
    page = place.with_suffix('.html')
    notes = html_facts(_notes(rows, len(images), score))
    sections = (html_table(header, cells, stacks=True), notes, '<h2>Machine</h2>', html_facts(facts))
    page.write_text(html_page(f'{found.name}: exports', *sections), encoding='utf-8')
    print(f'Figures: {place}, {page}')


def _cells(row: dict) -> list[str]:
    if 'failed' in row:
        return [f'{row["way"]}: {row["failed"]}', *[''] * len(COLUMNS)]
    memory, score = row['peak_memory_mib'], row.get('score')
    return [
        row['way'],
        row['precision'],
        f'{1000 * row["p50_seconds"]:.1f}',
        f'{1000 * row["p99_seconds"]:.1f}',
        f'{row["images_a_second"]:.3g}',
        f'{row["times_as_fast"]:.2f}',
        '' if memory is None else f'{memory:.0f}',
        '' if score is None else f'{score:.1f}',
    ]


def _notes(rows: list[dict], images: int, score: str) -> dict[str, str]:
    """Return what the columns are, by their names."""
    scored = next((row['scored_images'] for row in rows if 'score' in row), None)
    reason = next((row['no_score'] for row in rows if 'no_score' in row), '')
    return {
        'ms': f'of an image, from its file to its result, on {counted(images, "image")}, each of them alone and by '
        'each row in turn: the median, and what 99% of the images take at most',
        'images/s': 'the images divided by the sum of their times',
        'times as fast': RATIO,
        'memory': 'the peak of a process of its own that loads the model and predicts on one image',
        score: f'on the validation set of {counted(scored, "image")}' if scored else f'not known: {reason}',
    }
