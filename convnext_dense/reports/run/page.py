"""The page that reports on finished runs."""

import html
from collections.abc import Iterator, Sequence

from convnext_dense.config.training_options.metrics import points_factor
from convnext_dense.evaluation.recording.record import ValidationRecord
from convnext_dense.reports.page import html_page
from convnext_dense.reports.run.curves import curve_plots, with_unit
from convnext_dense.reports.run.detections import detection_sections
from convnext_dense.reports.run.finished_run import FinishedRun, groups_of
from convnext_dense.reports.run.label_maps import label_map_sections
from convnext_dense.reports.run.parts import STYLE, facts_list, folded_table
from convnext_dense.reports.run.pictures import picture_sections
from convnext_dense.wording import counted

PERCENT = 100.0
OTHERS = ('data_time', 'time', 'memory')


def run_page(runs: Sequence[FinishedRun]) -> str:
    """Return the report on runs as a self-contained page, in light and in dark colors.

    Args:
        runs: The runs, as `read_runs` returns them.

    Example:
        >>> from convnext_dense.reports.run.finished_run import find_runs, read_runs
        >>> page = run_page(read_runs(find_runs(['work_dirs/my_run'])))  # doctest: +SKIP
    """
    title = f'Run {runs[0].name}' if len(runs) == 1 else f'{len(runs)} runs'
    return html_page(title, *_sections(runs), style=STYLE)


def _sections(runs: Sequence[FinishedRun]) -> Iterator[str]:
    groups = groups_of(runs)
    yield '<h2>Scores</h2>' + _scores(groups)
    if curves := curve_plots(groups):
        yield f'<h2>Curves</h2>{curves}'
    for name, members in groups.items():
        yield from _analysis(name if len(groups) > 1 else '', members)
    for name, members in groups.items():
        yield from _facts(name if len(groups) > 1 else '', members[0])


def _scores(groups: dict[str, list[FinishedRun]]) -> str:
    """Return the last scores of each group, and the best of its first run."""
    runs = [run for members in groups.values() for run in members]
    names = dict.fromkeys(name for run in runs for name in run.validation if name not in OTHERS)
    names = [name for name in names if any(max(run.validation.get(name, {0: -1}).values()) >= 0 for run in runs)]
    if not names:
        return '<p>No scores were logged: the run was not validated.</p>'
    rows = []
    for name in names:
        row = [html.escape(with_unit(name))]
        for members in groups.values():
            last = [list(curve.values())[-1] for run in members if (curve := run.validation.get(name))]
            best = [max(curve.values()) for run in members if (curve := run.validation.get(name))]
            row += [_spread(last), _spread(best)]
        rows.append(row)
    header = ['score']
    for name in groups:
        header += ['last', 'highest'] if len(groups) == 1 else [f'{name}: last', 'highest']
    table = folded_table(header, rows)
    if any(points_factor(name) == PERCENT for name in names):
        note = 'Scores are in percent, as in all of this report; the log has AP and AR from 0 to 1.'
        return f'<p class="faint">{note}</p>{table}'
    return table


def _spread(values: Sequence[float]) -> str:
    if not values:
        return '-'
    mean = sum(values) / len(values)
    return f'{mean:.4g}' + (f' ({min(values):.4g} to {max(values):.4g})' if len(values) > 1 else '')


def _analysis(name: str, members: Sequence[FinishedRun]) -> Iterator[str]:
    """Yield what the last validation of the first run of a group found."""
    about = f': {html.escape(name)}' if name else ''
    run = next((run for run in members if run.record), None)
    if run is None or run.record is None:
        yield (
            f'<h2>Errors{about}</h2><p>The work dir has no record of a validation, so errors and predictions are not '
            'shown. <code>convnext-dense report --evaluate</code> validates the checkpoint and keeps one.</p>'
        )
        return
    of_seed = f' Of the runs, it is {html.escape(run.name)}.' if len(members) > 1 else ''
    yield f'<h2>Errors{about}</h2><p class="faint">{_place(run.record)}{of_seed}</p>'
    yield from detection_sections(run.record)
    yield from label_map_sections(run.record)
    yield picture_sections(run.record)


def _place(record: ValidationRecord) -> str:
    part = f'{record.images:,} of ' if record.images < record.images_in_all else ''
    return f'The validation of {html.escape(record.place)}, on {part}{counted(record.images_in_all, "image")}.'


def _facts(name: str, run: FinishedRun) -> Iterator[str]:
    about = f': {html.escape(name)}' if name else ''
    facts = run.facts
    if data := facts.get('data'):
        yield f'<h2>Data{about}</h2>{facts_list(data)}'
    changes = facts.get('differences')
    if run.config or changes:
        yield f'<h2>Config{about}</h2>'
    if facts.get('command'):
        yield f'<p>Started by</p><pre>{html.escape(facts["command"])}</pre>'
    if changes:
        rows = [[f'<code>{html.escape(key)}</code>', *map(_value, values)] for key, *values in changes]
        bases = html.escape(', '.join(facts.get('bases') or ()))
        yield f'<p>What differs from its base, {bases}:</p>' + folded_table(['key', 'base', 'run'], rows)
    lines = '\n'.join(f'{key} = {value!r}' for key, value in run.config.items())
    if lines:
        yield f'<details><summary>All of the config</summary><pre>{html.escape(lines)}</pre></details>'
    if environment := facts.get('environment'):
        yield f'<h2>Environment{about}</h2>{facts_list(environment)}'


def _value(value: str | None) -> str:
    return '<span class="faint">not there</span>' if value is None else html.escape(value)
