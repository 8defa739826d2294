"""The record as a page, and as a table for the terminal."""

from collections.abc import Sequence
from itertools import groupby

from benchmarks.gpu.claims import Claim, read_aims, read_claims
from benchmarks.gpu.record import DONE, Record
from benchmarks.gpu.step import Step
from convnext_dense.datasets.formats.whole_files import write_whole
from convnext_dense.reports.table import format_table

NO_MEANING = 'A rehearsal on a CPU, at tiny sizes: it shows that each step works, and its figures mean nothing.'
HEADER = ('measured', 'aim')


def write_page(record: Record, steps: Sequence[Step]) -> None:
    """Write the page: the machine; what each step says, and by which command; and how the steps went.

    Args:
        record: What was measured.
        steps: All steps, also those that did not run.
    """
    lines = [f'# {record.machine["device"]}', '']
    if record.rehearsal:
        lines += [NO_MEANING, '']
    facts = {name: value for name, value in record.machine.items() if name not in ('device', 'versions')}
    versions = ', '.join(f'{name} {version}' for name, version in record.machine['versions'].items())
    lines += _markdown([*((name, str(value)) for name, value in facts.items()), ('versions', versions)], ('', ''))
    if aims := read_aims(record.steps.values()):
        lines += ['', '## Aims', '', 'Of each case, against the best peer that was measured.']
    for case, rows in _by_case(aims):
        lines += ['', *_markdown(rows, (case, *HEADER))]
    for name, entry in record.steps.items():
        if claims := read_claims(entry):
            state = '' if entry['status'] == DONE else f' ({entry["status"]})'
            lines += ['', f'## {name}{state}', '', f'`{entry["command"]}`']
            for case, rows in _by_case(claims):
                lines += ['', *_markdown(rows, (case, *HEADER))]
    lines += ['', '## Steps', '', *_markdown(_steps(record, steps), ('step', 'how it ended', 'minutes', 'expected'))]
    write_whole(record.page, '\n'.join(lines) + '\n')


def claims_table(claims: Sequence[Claim]) -> str:
    """Return claims for the terminal."""
    return '\n'.join(format_table(rows, (case, *HEADER)) for case, rows in _by_case(claims))


def steps_table(record: Record, steps: Sequence[Step]) -> str:
    """Return how the steps went, for the terminal."""
    return format_table(_steps(record, steps), ('step', 'how it ended', 'minutes', 'expected'))


def _by_case(claims: Sequence[Claim]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return the rows of each case, in the order of their first claims."""
    order = list(dict.fromkeys(claim.case for claim in claims))
    claims = sorted(claims, key=lambda claim: order.index(claim.case))
    return [(case, [claim[1:] for claim in group]) for case, group in groupby(claims, lambda claim: claim.case)]


def _steps(record: Record, steps: Sequence[Step]) -> list[tuple[str, ...]]:
    rows = []
    for step in steps:
        entry = record.steps.get(step.name, {})
        minutes = f'{entry["seconds"] / 60:.1f}' if 'seconds' in entry else ''
        rows.append((step.name, entry.get('status', 'not asked for'), minutes, f'{step.minutes:.1f}'))
    return rows


def _markdown(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    lines = [header, ['---'] * len(header), *rows]
    return [f'| {" | ".join(cell.replace("|", "/") for cell in line)} |' for line in lines]
