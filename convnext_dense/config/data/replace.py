"""Puts one dataset in the place of another, inside of its wrappers."""

import colorsys
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from mmengine.config import Config, ConfigDict

from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError

AnySplit = TypeVar('AnySplit')


def replace_dataset(key: str, old: ConfigDict, new: dict, others: Sequence[str], kept: Sequence[str]) -> ConfigDict:
    """Return the config of a dataset with another one in its place; wrappers stay.

    Args:
        key: Its place in the config.
        old: The config, whose wrappers are changed.
        new: The config of the new dataset.
        others: Words in the types of datasets that the new one cannot take the place of.
        kept: What the new one has of the old one's keys.

    Raises:
        UsageError: If the old one is of another kind.

    Example:
        >>> wrapped = ConfigDict(type='RepeatDataset', times=2, dataset=dict(type='VOCDataset', pipeline=[]))
        >>> replace_dataset('dataset', wrapped, dict(type='CocoDataset'), ['Panoptic'], ['pipeline']).dataset
        {'type': 'CocoDataset', 'pipeline': []}
    """
    if 'dataset' in old:
        old.dataset = replace_dataset(f'{key}.dataset', old.dataset, new, others, kept)
        return old
    if 'datasets' in old:
        # All of them together were what is one dataset now.
        old.datasets = [replace_dataset(f'{key}.datasets.0', old.datasets[0], new, others, kept)]
        return old
    kind = bare_type(old.type)
    if any(word in kind for word in others):
        raise UsageError(f'data: {key} is {kind}, which feeds the model other things too; take another config.')
    return ConfigDict({**new, **{name: old[name] for name in kept if name in old}})


def loaders_and_splits(cfg: Config, splits: Mapping[str, AnySplit]) -> Iterator[tuple[str, ConfigDict, AnySplit]]:
    """Yield the dataloaders of a config with the splits that they are to read: 'val' where there is no 'test'.

    Args:
        cfg: The config.
        splits: The splits by their names.

    Example:
        >>> cfg = Config(dict(train_dataloader=dict(batch_size=2), test_dataloader=dict(batch_size=1)))
        >>> [(name, split) for name, _, split in loaders_and_splits(cfg, dict(train='a', val='b'))]
        [('train', 'a'), ('test', 'b')]
    """
    for name in ('train', 'val', 'test'):
        if loader := cfg.get(f'{name}_dataloader'):
            yield name, loader, splits.get(name) or splits['val']


def make_palette(count: int) -> list[tuple[int, ...]]:
    """Return colors whose hues are far apart.

    Args:
        count: How many.

    Example:
        >>> make_palette(2)
        [(230, 57, 57), (57, 108, 230)]
    """
    golden_ratio = (5**0.5 - 1) / 2
    colors = [colorsys.hsv_to_rgb(i * golden_ratio % 1, 0.75, 0.9) for i in range(count)]
    return [tuple(round(255 * part) for part in color) for color in colors]
