"""Reads a config's nested dicts."""


def bare_type(kind: str | type | None) -> str:
    """Return the name of a `type` without its scope; '' if there is none.

    Args:
        kind: What a config has as `type`: a name with or without a scope, or a class.

    Example:
        >>> bare_type('mmdet.ResNet'), bare_type('ResNet'), bare_type(dict), bare_type(None)
        ('ResNet', 'ResNet', 'dict', '')
    """
    if kind is None:
        return ''
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[2]


def innermost_dataset(dataset: dict) -> dict:
    """Return the config of the dataset inside wrappers such as RepeatDataset, or `dataset` itself.

    Args:
        dataset: A dataset's config, such as ``cfg.train_dataloader.dataset``. The result is a part of it, not a copy.

    Example:
        >>> wrapped = dict(type='RepeatDataset', times=2, dataset=dict(type='CocoDataset'))
        >>> innermost_dataset(wrapped)
        {'type': 'CocoDataset'}
    """
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset
