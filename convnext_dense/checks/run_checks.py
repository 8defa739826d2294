"""Runs the checks before a run, and stops it if one finds an error."""

import json
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from convnext_dense.checks.addresses import ADDRESSES
from convnext_dense.checks.annotations.find import ANNOTATIONS
from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.checkpoint import CHECKPOINT
from convnext_dense.checks.classes_and_heads.classes import CLASSES
from convnext_dense.checks.classes_and_heads.evaluators import EVALUATORS
from convnext_dense.checks.classes_and_heads.heads import HEADS
from convnext_dense.checks.config_keys.keys import KEYS
from convnext_dense.checks.files import FILES
from convnext_dense.checks.images import IMAGES, LABELS
from convnext_dense.checks.outputs import OUTPUTS
from convnext_dense.checks.resume import RESUME
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.checks.training.length import LENGTH
from convnext_dense.checks.training.optimizer import OPTIMIZER
from convnext_dense.checks.training.schedule import SCHEDULE
from convnext_dense.checks.windows import WINDOWS
from convnext_dense.config.machine import process_number
from convnext_dense.datasets.annotations.coco_file import no_garbage_collection
from convnext_dense.errors import UsageError, describe

CHECKS: tuple[Check, ...] = (
    KEYS,
    OUTPUTS,
    ADDRESSES,
    WINDOWS,
    # Causes come before what follows from them.
    FILES,
    CLASSES,
    ANNOTATIONS,
    HEADS,
    EVALUATORS,
    LABELS,
    IMAGES,
    CHECKPOINT,
    RESUME,
    OPTIMIZER,
    SCHEDULE,
    LENGTH,
)
# How many errors the message has; the record has all.
SHOWN_ERRORS = 3


def check_run(plan: RunPlan, skip_check: Collection[str] = ()) -> list[Finding]:
    """Look for faults before a run. Warnings are printed; all findings go to ``checks.json`` in the work dir.

    Args:
        plan: What the run is about to read.
        skip_check: Names of checks to leave out.

    Returns:
        The warnings.

    Raises:
        UsageError: If there is an error, or no check of a name in `skip_check`.
    """
    names = [check.name for check in CHECKS]
    for name in skip_check:
        if name not in names:
            raise UsageError(f'skip_check: there is no check {name!r}; the checks are {", ".join(names)}.')
    if process_number() != 0:
        return []
    record, findings = {}, []
    for check in CHECKS:
        if check.name in skip_check:
            record[check.name] = 'skipped'
            continue
        start = time.monotonic()
        found = _find(check, plan, is_faulty=any(finding.is_error for finding in findings))
        findings += found
        record[check.name] = dict(
            seconds=round(time.monotonic() - start, 3),
            errors=[finding.sentence for finding in found if finding.is_error],
            warnings=[finding.sentence for finding in found if not finding.is_error],
        )
    _write(plan, record)
    errors = [finding.sentence for finding in findings if finding.is_error]
    warnings = [finding for finding in findings if not finding.is_error]
    for warning in warnings:
        print(f'warning: {warning.sentence}', file=sys.stderr)
    if errors:
        more = f' There are {len(errors) - SHOWN_ERRORS} more errors.' if len(errors) > SHOWN_ERRORS else ''
        raise UsageError(' Also: '.join(errors[:SHOWN_ERRORS]) + more)
    return warnings


def _find(check: Check, plan: RunPlan, is_faulty: bool) -> list[Finding]:
    """Return what a check finds. A fault of its own must not keep a run from starting."""
    try:
        with no_garbage_collection():
            # Datasets may share a file.
            return list(dict.fromkeys(check.find(plan)))
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - what a check does not foresee
        sentence = f'the check {check.name} was left out, since it failed: {describe(error)}.'
        # An error that was found before may be the cause.
        return [] if is_faulty else [Finding(sentence, is_error=False)]


def _write(plan: RunPlan, record: dict) -> None:
    folder = Path(plan.cfg.work_dir)
    # Where it cannot be written, a check has said so.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'checks.json').write_text(json.dumps(record, indent=2) + '\n')
