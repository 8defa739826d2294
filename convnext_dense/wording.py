"""Words that follow from a number."""


def counted(count: int, noun: str, plural: str = '') -> str:
    """Return a number with what it counts.

    Args:
        count: The number.
        noun: What it counts.
        plural: Its plural, if that is none of the regular ones.

    Example:
        >>> counted(1, 'image'), counted(0, 'class'), counted(2, 'box'), counted(3, 'category'), counted(4, 'epoch')
        ('1 image', '0 classes', '2 boxes', '3 categories', '4 epochs')
    """
    if count == 1:
        return f'1 {noun}'
    if not plural and noun.endswith(('s', 'x', 'tch', 'sh')):
        plural = f'{noun}es'
    elif not plural and noun.endswith('y') and noun[-2] not in 'aeou':
        plural = f'{noun[:-1]}ies'
    return f'{count} {plural or f"{noun}s"}'


def times(number: float) -> str:
    """Return how often something happens.

    Args:
        number: How often.

    Example:
        >>> times(1), times(0.25), times(2.5), times(12.3)
        ('once', '0.25 times', '2.5 times', '12 times')
    """
    if number < 1:
        return f'{number:.2g} times'
    return 'once' if number < 1.05 else f'{number:.0f} times' if number >= 10 else f'{number:.2g} times'
