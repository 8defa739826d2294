"""Changes names by tables of regular expressions."""

import re
from collections.abc import Iterable

Table = Iterable[tuple[str, str]]


def substitute(name: str, beginnings: Table, parts: Table) -> str:
    """Return a name with another beginning, by the first pattern that matches, and then by all patterns of its parts.

    Args:
        name: The name.
        beginnings: Regular expressions, and what stands for them.
        parts: Likewise.

    Example:
        >>> substitute('encoder.0.fc1.bias', [(r'encoder\\.', 'neck.'), ('', 'head.')], [('fc1', 'mlp.0')])
        'neck.0.mlp.0.bias'
    """
    for pattern, ours in beginnings:
        name, found = re.subn(f'^{pattern}', ours, name)
        if found:
            break
    for pattern, ours in parts:
        name = re.sub(pattern, ours, name)
    return name
