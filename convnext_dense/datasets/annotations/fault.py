"""What is wrong with entries of an annotation file."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault that entries of a file have, or the file itself.

    Args:
        kind: The kind of fault, a key of `KINDS`.
        sentence: One sentence on all of them: which file, what it is, what it should be.
        rows: The places of the entries in their list; none if it is the file.
        noun: What the entries are: 'image', 'annotation' or 'category'.
        is_error: Whether it cannot be right. What is odd, and can be right, is a warning.
        what: What each of the entries has, if the kind does not say it.

    Example:
        >>> Fault('json', 'a.json: is empty.').is_error
        True
    """

    kind: str
    sentence: str
    rows: Sequence[int] = ()
    noun: str = 'annotation'
    is_error: bool = True
    what: str = ''
