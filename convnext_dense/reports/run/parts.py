"""The parts that the sections of a run's report are made of."""

import html
import math
from collections.abc import Sequence

import numpy as np

from convnext_dense.evaluation.errors.confusion import mistakes

Color = tuple[int, ...]
# Of more rows, the others are behind a click; of more classes, a matrix has no numbers.
ROWS, CELLS = 12, 12
MISTAKES = 12
STYLE = """
h2 { margin: 2.4rem 0 .6rem; border-top: 1px solid var(--line); padding-top: 1.2rem }
h3 { margin: 1.4rem 0 .4rem; font-size: 1rem }
small { color: var(--faint); font-size: .82rem }
.scroll { margin: .6rem 0 }
code { background: var(--soft) }
p, dd, li { overflow-wrap: anywhere }
dl.facts { display: grid; grid-template-columns: minmax(6rem, 12rem) 1fr; gap: .2rem 1rem }
dl.facts dt { margin: 0 }
.faint { color: var(--faint) }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); gap: 1rem }
.plots svg { width: 100% }
.wide { grid-column: 1 / -1 }
.bar { display: inline-block; height: .7em; background: rgb(var(--accent)); border-radius: 2px }
td.bars { width: 35%; text-align: left; min-width: 4rem }
.swatch { display: inline-block; width: .75em; height: .75em; border: 1px solid var(--faint); margin-right: .4em;
  flex: none }
.matrix { width: auto } .matrix th, .matrix td { padding: .25rem .5rem; white-space: nowrap }
.matrix td { font-variant-numeric: tabular-nums }
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr)); gap: 1.4rem }
.shots figure { margin: 0; min-width: 0 }
.pair { display: flex; gap: .4rem } .pair div { flex: 1; min-width: 0 }
.pair img { width: 100%; height: auto; display: block }
.pair span { font-size: .8rem; color: var(--faint) }
figcaption { font-size: .85rem; overflow-wrap: anywhere; margin-bottom: .3rem }
.legend span { display: inline-block; margin-right: .9rem; font-size: .85rem }
summary { cursor: pointer; margin: .5rem 0 }
@media (max-width: 40rem) { dl.facts { grid-template-columns: 1fr } dl.facts dd { margin-bottom: .4rem }
  th, td { padding: .3rem .35rem; font-size: .88rem } td.bars, th:empty { display: none } }
"""


def percent(value: float) -> str:
    """Return a part of 1 as percent; a dash of nan.

    Example:
        >>> percent(0.123), percent(float('nan'))
        ('12.3', '-')
    """
    return '-' if math.isnan(value) else f'{100 * value:.1f}'


def swatch(name: str, color: Color) -> str:
    """Return a class's name behind its color.

    Example:
        >>> swatch('cat', (1, 2, 3))
        '<i class="swatch" style="background: rgb(1, 2, 3)"></i>cat'
    """
    return f'<i class="swatch" style="background: rgb{tuple(color[:3])}"></i>{html.escape(name)}'


def facts_list(facts: dict[str, str]) -> str:
    """Return facts by name, next to each other."""
    items = ''.join(f'<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>' for name, value in facts.items())
    return f'<dl class="facts">{items}</dl>'


def folded_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of HTML cells, of which those after `ROWS` are behind a click.

    Example:
        >>> folded_table(['class'], [['<b>cat</b>']])
        '<div class="scroll"><table><tr><th>class</th></tr><tr><td><b>cat</b></td></tr></table></div>'
    """
    head = '<tr>' + ''.join(f'<th>{html.escape(name)}</th>' for name in header) + '</tr>'
    lines = ['<tr>' + ''.join(_cell(cell) for cell in row) + '</tr>' for row in rows]

    def table(part: list[str]) -> str:
        return f'<div class="scroll"><table>{head}{"".join(part)}</table></div>'

    if len(lines) <= ROWS + 2:
        return table(lines)
    more = f'<details><summary>The other {len(lines) - ROWS}</summary>{table(lines[ROWS:])}</details>'
    return table(lines[:ROWS]) + more


def bar(part: float) -> str:
    """Return a bar of a part of 1 of its cell."""
    return f'<i class="bar" style="width: {100 * max(0.0, min(part, 1.0)):.1f}%"></i>' if part > 0 else ''


def confusion_section(matrix: np.ndarray, names: Sequence[str], unit: str, classes: int) -> str:
    """Return a confusion matrix: with numbers, or for many classes as its most frequent mistakes and a picture.

    Args:
        matrix: Counts: a row a class, a column what it is taken for.
        names: The names of its rows and columns.
        unit: What is counted.
        classes: How many of the names are classes; background may follow.
    """
    # Correct background is not counted.
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / totals
    found = [
        [html.escape(names[part.truth]), html.escape(names[part.found]), f'{part.count:,}', f'{100 * part.share:.1f} %']
        for part in mistakes(matrix, MISTAKES, classes)
    ]
    table = folded_table(['truth', 'taken for', unit, 'of the class'], found)
    if not found:
        table = '<p>Nothing is mixed up.</p>'
    if len(names) > CELLS + 1:
        from matplotlib.colors import PowerNorm

        from convnext_dense.reports.svg import draw

        def plot(axes) -> None:  # noqa: ANN001 - matplotlib's
            axes.imshow(shares, cmap=_fading_map(), norm=PowerNorm(0.5, 0, 1), interpolation='nearest')
            axes.set_xlabel('taken for')
            axes.set_ylabel('truth')

        return f'<div class="plots"><div>{draw(plot, "share of each class", 4.4, 4.4)}</div></div>{table}'
    head = ''.join(f'<th>{html.escape(name)}</th>' for name in names)
    lines = [
        f'<tr><th>{html.escape(name)}</th>'
        + ''.join(
            f'<td style="background: rgb(var(--accent) / {share:.2f})" title="{count:,} {unit}">{100 * share:.0f}</td>'
            for share, count in zip(shares[i].tolist(), matrix[i].tolist(), strict=True)
        )
        + '</tr>'
        for i, name in enumerate(names)
    ]
    grid = f'<tr><th>truth \\ taken for, %</th>{head}</tr>{"".join(lines)}'
    often = f'<details><summary>The most frequent mistakes</summary>{table}</details>' if found else table
    return f'<div class="scroll"><table class="matrix">{grid}</table></div>{often}'


def _fading_map() -> object:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list('fading', [(0.23, 0.51, 0.77, 0.06), (0.23, 0.51, 0.77, 1)])


def _cell(text: str) -> str:
    return f'<td class="bars">{text}</td>' if text.startswith('<i class="bar"') or not text else f'<td>{text}</td>'
