"""Says what of a dataset cannot be read."""

from collections.abc import Callable, Sequence

from convnext_dense.errors import UsageError


def tell_faults(faults: Sequence[str], report: Callable[[str], None] | None) -> None:
    """Report each fault, or raise the first one if there is nobody to report them to.

    Args:
        faults: A sentence on each.
        report: Called with each of them.

    Raises:
        UsageError: If there is a fault, and no `report`.

    Example:
        >>> tell_faults(['a.txt: line 2: there is no class 3.'], print)
        a.txt: line 2: there is no class 3.
    """
    if report is not None:
        for fault in faults:
            report(fault)
    elif faults:
        more = f' There are {len(faults) - 1} more like it.' if len(faults) > 1 else ''
        raise UsageError(f'data: {faults[0]}{more}')
