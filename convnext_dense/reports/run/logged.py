"""Reads what a run has logged: its losses and scores, by step."""

import json
from collections import defaultdict
from pathlib import Path

SCALARS = '*/vis_data/scalars.json'
# What a row of training has besides losses.
PLACES = ('epoch', 'iter', 'step')
Curve = dict[int, float]


def read_curves(folder: Path) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Return what a run logged in training and in validations: by name, the values by step.

    Of a run that was resumed, what was logged after the step that it resumed from counts as the later part has it.

    Args:
        folder: The run's work dir.

    Example:
        >>> read_curves(Path('no/such/folder'))
        ({}, {})
    """
    training: dict[int, dict] = {}
    validation: dict[int, dict] = {}
    for file in sorted(folder.glob(SCALARS)):
        rows = [row for line in file.read_text(errors='replace').splitlines() if (row := _row(line))]
        steps = [row['iter'] for row in rows if 'iter' in row]
        if not rows:
            continue
        # Of a run that is shorter than its logs' interval, validations alone are logged.
        first = steps[0] if steps else rows[0].get('step', 0)
        for known in (training, validation):
            for step in [step for step in known if step >= first]:
                del known[step]
        last = 0
        for row in rows:
            # A config may log scores by epoch; such a score's step is less than that of the last log before it.
            last = max(last, row.get('iter', row.get('step', 0)))
            (training if 'iter' in row else validation).setdefault(last, {}).update(row)
    return _by_name(training), _by_name(validation)


def _row(line: str) -> dict:
    try:
        row = json.loads(line)
    except ValueError:
        # The last line of a run that was killed.
        return {}
    return row if isinstance(row, dict) else {}


def _by_name(rows: dict[int, dict]) -> dict[str, Curve]:
    curves: dict[str, Curve] = defaultdict(dict)
    for step, row in sorted(rows.items()):
        for name, value in row.items():
            if name not in PLACES and isinstance(value, int | float) and not isinstance(value, bool):
                curves[name][step] = float(value)
    return dict(curves)
