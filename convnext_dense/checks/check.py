"""What a check is, and what it finds."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.errors import UsageError


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a run, or odd.

    Args:
        sentence: One sentence: which key or file, what it is, what it should be.
        is_error: Whether it cannot be right. What is odd, and can be right, is a warning.
    """

    sentence: str
    is_error: bool = True


def as_finding(fault: Fault) -> Finding:
    """Return a fault of an annotation file as what a check finds."""
    return Finding(fault.sentence, fault.is_error)


@dataclass(frozen=True)
class Check:
    """Looks for one kind of fault before a run.

    Args:
        name: What `skip_check` takes.
        reads: What it looks at, in a few words.
        find: Returns what it finds in a run. It raises nothing, and takes seconds at most: it samples.
    """

    name: str
    reads: str
    find: Callable[[RunPlan], Iterable[Finding]]


def report(findings: Iterable[Finding]) -> None:
    """Print warnings, and raise the first error; for commands that make one check of all.

    Args:
        findings: What the check finds.

    Raises:
        UsageError: If there is an error.

    Example:
        >>> report([Finding('work_dir: /dev/null is a file; give a folder.')])
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: work_dir: /dev/null is a file; give a folder.
    """
    for finding in findings:
        if finding.is_error:
            raise UsageError(finding.sentence)
        print(f'warning: {finding.sentence}', file=sys.stderr)
