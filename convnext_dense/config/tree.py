"""Reads a config's nested dicts."""

from collections.abc import Iterator

from mmengine.config import Config


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
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    return name.rpartition('.')[2]


def value_at(cfg: Config | dict, key: str) -> object:
    """Return what a key of dots names; None if it is not there.

    Args:
        cfg: The config, or a part of it.
        key: Names of keys, and numbers in lists.

    Example:
        >>> cfg = dict(param_scheduler=[dict(type='LinearLR', end=500)])
        >>> value_at(cfg, 'param_scheduler.0.end'), value_at(cfg, 'train_cfg.max_epochs')
        (500, None)
    """
    value: object = cfg
    for name in key.split('.'):
        if isinstance(value, list | tuple):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict | Config) else None
    return value


def evaluators(cfg: Config, split: str) -> list[dict]:
    """Return the evaluators of a split, of which a config may have none, one, or a list.

    Args:
        cfg: The config.
        split: 'val' or 'test'; training has none.

    Example:
        >>> evaluators(Config(dict(val_evaluator=dict(type='IoUMetric'))), 'val')
        [{'type': 'IoUMetric'}]
    """
    found = cfg.get(f'{split}_evaluator') or []
    return found if isinstance(found, list) else [found]


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


def leaf_datasets(dataset: dict) -> list[dict]:
    """Return the configs of the datasets inside wrappers, also those that ConcatDataset puts together.

    Args:
        dataset: A dataset's config. The results are parts of it, not copies.

    Example:
        >>> parts = [dict(type='CocoDataset', ann_file=name) for name in ('a.json', 'b.json')]
        >>> len(leaf_datasets(dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=parts))))
        2
    """
    inner = innermost_dataset(dataset)
    if 'datasets' not in inner:
        return [inner]
    return [leaf for part in inner['datasets'] for leaf in leaf_datasets(part)]


def typed_parts(node: object) -> Iterator[dict]:
    """Yield the dicts in a config that have a `type`, those in lists and in other dicts included, the outer ones first.

    Args:
        node: A config, or a part of one. The results are parts of it, not copies.

    Example:
        >>> [part['type'] for part in typed_parts([dict(type='Compose', transforms=[dict(type='Resize')])])]
        ['Compose', 'Resize']
    """
    if isinstance(node, dict):
        if 'type' in node:
            yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for part in node:
            yield from typed_parts(part)
