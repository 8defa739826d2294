"""What a check is, and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from convnext_dense.checks.run_plan import RunPlan


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a run, or odd.

    Args:
        sentence: One sentence: which key or file, what it is, what it should be.
        is_error: Whether it cannot be right. What is odd, and can be right, is a warning.
    """

    sentence: str
    is_error: bool = True


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
