"""The report on a dataset, as text."""

from collections.abc import Iterator

from convnext_dense.datasets.checker.findings import DataReport
from convnext_dense.datasets.checker.kinds import KINDS
from convnext_dense.wording import counted

# How many files of a kind, and how many classes of a split, a text shows.
EXAMPLES, SHOWN_CLASSES, SHOWN_SIZES = 3, 8, 3


def data_text(report: DataReport) -> str:
    """Return the report on a dataset as text: what it has, and each kind of fault with examples and a remedy.

    Args:
        report: The report.

    Example:
        >>> print(data_text(DataReport('pets')))
        data pets
        Nothing wrong was found.
    """
    return '\n'.join([f'data {report.place}', *_splits(report), *_kinds(report), summary(report)])


def summary(report: DataReport) -> str:
    """Return in a sentence how much was found.

    Example:
        >>> from convnext_dense.datasets.checker.findings import DataFinding
        >>> summary(DataReport('pets', {}, [DataFinding('image-missing', 'a.jpg')]))
        'Found 1 error.'
    """
    parts = [counted(count, level) for level, count in report.counts.items() if count]
    return f'Found {", ".join(parts)}.' if parts else 'Nothing wrong was found.'


def split_facts(facts: dict) -> list[str]:
    """Return what a split has, in a few parts of a sentence.

    Args:
        facts: As a report has them.

    Example:
        >>> split_facts(dict(images=60, objects=70, classes=dict(cat=50, dog=20)))
        ['60 images', '70 objects', 'cat 50, dog 20']
    """
    parts = [f'{facts[name]} {name.replace("_", " ")}' for name in ('images', 'objects', 'label_maps') if name in facts]
    for name, most in (('classes', SHOWN_CLASSES), ('modes', SHOWN_SIZES), ('sizes', SHOWN_SIZES)):
        if counts := facts.get(name):
            shown = ', '.join(f'{key} {count}' for key, count in list(counts.items())[:most])
            parts.append(shown + (f', ... {len(counts)} in all' if len(counts) > most else ''))
    return parts


def _splits(report: DataReport) -> Iterator[str]:
    for name, facts in report.splits.items():
        yield f'  {name}: {"; ".join(split_facts(facts))}'
    yield from (f'  {remark}' for remark in report.remarks)


def _kinds(report: DataReport) -> Iterator[str]:
    for level, kind, findings in report.groups:
        yield f'{level}: {kind}, {len(findings)}: {KINDS[kind].title}'
        yield from (f'    {finding.sentence}' for finding in findings[:EXAMPLES])
        more = len(findings) - EXAMPLES
        if more > 0:
            yield f'    and {more} more'
        yield f'  remedy: {KINDS[kind].remedy}' + ('; --fix does it' if KINDS[kind].is_mended else '')
