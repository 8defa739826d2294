"""The docs' page on the stacks, written from what was recorded."""

import json

from stacks.table import ROOT, STACKS

RESULTS = ROOT / 'tests' / 'stacks' / 'results.json'
PAGE = ROOT / 'docs' / 'start' / 'stacks.md'
HEAD = """# Stacks

On which versions the tests ran, and how many passed. `cd tests && python -m stacks --folder DIR` makes each environment,
runs the fast tier or the files that it is given, and writes this page. Tests that failed ran twice, most of them after
a fault was mended (`--again`), and count by the second time. OneDL's packages are forks under the same import names:
[how to install with them](install.md#onedls-packages).

| stack | Python | torch | numpy | transformers | mmengine, mmcv, mmdet, mmseg | mmcv's operators | tests | passed | failed | skipped | date |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501
OPENMMLAB = ('mmengine', 'mmcv', 'mmdet', 'mmseg')


def read_results() -> dict[str, dict]:
    """Return what was recorded of each stack, by its name."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def page(results: dict[str, dict]) -> str:
    """Return the page's text. A stack of which nothing is recorded is "not run".

    Example:
        >>> page({}).splitlines()[-1]
        '| numpy 1.26 | 3.11 | | | | | | not run | | | | |'
    """
    return HEAD + ''.join(_row(stack.name, stack.python, results.get(stack.name)) for stack in STACKS)


def _row(name: str, python: str, record: dict | None) -> str:
    if record is None:
        cells = [python, *[''] * 5, 'not run', *[''] * 4]
    else:
        found = record.get('versions', {})
        versions = [found.get(key, '') for key in ('torch', 'numpy', 'transformers')]
        openmmlab = ', '.join(found[key] for key in OPENMMLAB if key in found)
        cells = [found.get('Python', python), *versions, openmmlab, found.get('operators', '')]
        tests = record['tests'] + (f', {record["again"]} of them twice' if 'again' in record else '')
        cells += [f'refused: {record["refused"]}' if 'refused' in record else tests]
        cells += [str(record.get(key, '')) for key in ('passed', 'failed', 'skipped')] + [record['date']]
    return '|'.join(['', *(f' {cell} ' if cell else ' ' for cell in [name, *cells]), '']) + '\n'
