"""Checks that the data that a config names is there."""

from pathlib import Path

from mmengine.config import Config

from convnext_dense.config.find import URL_MARK
from convnext_dense.errors import UsageError


def check_data(cfg: Config, *splits: str) -> None:
    """Raise UsageError if the dataloaders and evaluators read a local path that is not there.

    Args:
        cfg: The config.
        splits: Any of 'train', 'val' and 'test'.

    Example:
        >>> check_data(Config(dict(test_dataloader=dict(dataset=dict(data_root='/')))), 'test')
    """
    for split in splits:
        key = f'{split}_dataloader.dataset'
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset', {})
        # Wrappers such as RepeatDataset hold the dataset itself.
        while 'dataset' in dataset:
            dataset, key = dataset['dataset'], f'{key}.dataset'
        _check_path(dataset, 'data_root', key)
        for evaluator in evaluators(cfg, split):
            _check_path(evaluator, 'ann_file', f'{split}_evaluator')


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


def _check_path(holder: dict, name: str, key: str) -> None:
    path = holder.get(name)
    # A file backend may map the path to where it can reach it.
    if not path or URL_MARK in path or holder.get('backend_args') or Path(path).exists():
        return
    raise UsageError(
        f'{key}.{name}: there is no {path}; put the dataset there, or give its place by cfg_options {key}.{name}=PATH.'
    )
