"""Words for what is wrong with some of many entries."""

from collections.abc import Sequence

from convnext_dense.wording import counted

SHOWN_NAMES = 6


def subject(noun: str, ids: Sequence, total: int, singular: str = 'has', plural: str = 'have') -> str:
    """Return the subject and verb of a sentence about some of the entries of a file.

    Args:
        noun: What an entry is.
        ids: The ids of those that the sentence is about, at least one.
        total: How many entries there are.
        singular: The verb after one.
        plural: The verb after several.

    Example:
        >>> subject('annotation', [7], 20)
        'annotation 7 has'
        >>> subject('annotation', [7, 9], 20)
        '2 of 20 annotations, such as 7, have'
    """
    if len(ids) == 1:
        return f'{noun} {ids[0]!r} {singular}'
    return f'{len(ids)} of {counted(total, noun)}, such as {ids[0]!r}, {plural}'


def names(values: Sequence) -> str:
    """Return the first names of a list, as Python writes them.

    Example:
        >>> names(['cat', 'dog'])
        "('cat', 'dog')"
        >>> names(['cat'])
        "('cat',)"
        >>> names(list('abcdefgh'))
        "('a', 'b', 'c', 'd', 'e', 'f', ... 8 in all)"
    """
    shown = ', '.join(repr(value) for value in values[:SHOWN_NAMES])
    if len(values) > SHOWN_NAMES:
        return f'({shown}, ... {len(values)} in all)'
    return f'({shown},)' if len(values) == 1 else f'({shown})'
