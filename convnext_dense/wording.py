"""Words that follow from a number."""


def counted(count: int, noun: str, plural: str = '') -> str:
    """Return a number with what it counts.

    Args:
        count: The number.
        noun: What it counts.
        plural: Its plural, if that is none of the regular ones.

    Example:
        >>> counted(1, 'image'), counted(0, 'class'), counted(2, 'box'), counted(3, 'category')
        ('1 image', '0 classes', '2 boxes', '3 categories')
    """
    if count == 1:
        return f'1 {noun}'
    if not plural and noun.endswith(('s', 'x', 'ch', 'sh')):
        plural = f'{noun}es'
    elif not plural and noun.endswith('y') and noun[-2] not in 'aeou':
        plural = f'{noun[:-1]}ies'
    return f'{count} {plural or f"{noun}s"}'
