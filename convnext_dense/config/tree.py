"""Walks that several readers of a config share."""


def bare_type(kind: str | type | None) -> str:
    """Return a type's name without its scope.

    Args:
        kind: A config's ``type``: a name, or the class itself, as configs in pure Python have it.

    Example:
        >>> bare_type('mmdet.ResNet'), bare_type(dict), bare_type(None)
        ('ResNet', 'dict', '')
    """
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', '')
    return name.split('.')[-1]


def innermost_dataset(dataset: dict) -> dict:
    """Return the dataset inside wrappers such as ``RepeatDataset``.

    Args:
        dataset: A dataset's config.

    Example:
        >>> innermost_dataset(dict(type='RepeatDataset', dataset=dict(type='CocoDataset')))
        {'type': 'CocoDataset'}
    """
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset
