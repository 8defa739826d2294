"""Shows what `export --benchmark` measures, and writes it as JSON and as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convnext_dense.errors import UsageError

if TYPE_CHECKING:
    from convnext_dense.inference.find_model import FoundModel

HEADER = ('', 'ms (median)', 'ms (99%)', 'images/s', 'times as fast', 'memory (MiB)', 'score')


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
    from convnext_dense.inference.exporting.benchmark import machine, measure_exports
    from convnext_dense.reports.page import html_facts, html_page, html_table
    from convnext_dense.reports.table import format_table

    if not images or not files:
        raise UsageError('benchmark: it needs images, by --check or by a validation set that is there.')
    rows, facts = measure_exports(found, source, files, images), machine()
    cells = [_cells(row) for row in rows]
    print(format_table(cells, HEADER))
    place = files[0].with_suffix('.benchmark.json')
    place.write_text(json.dumps(dict(model=found.name, machine=facts, images=len(images), rows=rows), indent=2) + '\n')
    page = place.with_suffix('.html')
    page.write_text(html_page(f'{found.name}: exports', html_table(HEADER, cells), html_facts(facts)))
    print(f'Figures: {place}, {page}')


def _cells(row: dict) -> list[str]:
    if 'failed' in row:
        return [f'{row["way"]}: {row["failed"]}', *[''] * (len(HEADER) - 1)]
    memory, score = row['peak_memory_mib'], row.get('score')
    return [
        row['way'],
        f'{1000 * row["p50_seconds"]:.1f}',
        f'{1000 * row["p99_seconds"]:.1f}',
        f'{row["images_a_second"]:.3g}',
        f'{row["times_as_fast"]:.2f}',
        '' if memory is None else f'{memory:.0f}',
        '' if score is None else f'{score:.1f}',
    ]
