"""What a run is about to read: its config, its datasets, and their files."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from convnext_dense.errors import UsageError
from convnext_dense.weights.sources import read_weights


@dataclass(frozen=True)
class PlannedDataset:
    """A dataset that a run reads, inside of wrappers such as RepeatDataset and ConcatDataset.

    Args:
        split: 'train', 'val' or 'test'.
        key: Its place in the config, such as ``train_dataloader.dataset``.
        cfg: Its config.
        built: The dataset, without its annotations: ``metainfo``, ``ann_file`` and ``data_prefix`` are final.
    """

    split: str
    key: str
    cfg: dict
    built: BaseDataset


class RunPlan:
    """What a run is about to read.

    Args:
        cfg: As `load_config` returns it.
        splits: The splits that it reads: 'train' and 'val', or 'test'.
        checkpoint: The file, address or published name that it loads, if any.
    """

    def __init__(self, cfg: Config, splits: tuple[str, ...], checkpoint: str | None = None) -> None:
        self.cfg = cfg
        self.splits = splits
        self.checkpoint = checkpoint

    @cached_property
    def datasets(self) -> list[PlannedDataset]:
        """The datasets that the dataloaders of the splits read.

        Raises:
            UsageError: If one cannot be built.
        """
        return [
            dataset
            for split in self.splits
            for dataset in _leaves(split, f'{split}_dataloader.dataset', self._dataset_cfg(split), self.cfg)
        ]

    @cached_property
    def content(self) -> dict:
        """The content of the checkpoint; its weights are read when they are used. Empty without a checkpoint.

        Raises:
            CheckpointError: If it cannot be read.
        """
        return read_weights(self.checkpoint) if self.checkpoint else {}

    def _dataset_cfg(self, split: str) -> dict | None:
        return (self.cfg.get(f'{split}_dataloader') or {}).get('dataset')


def _leaves(split: str, key: str, dataset: dict | None, cfg: Config) -> Iterator[PlannedDataset]:
    if not isinstance(dataset, dict):
        return
    if isinstance(dataset.get('dataset'), dict):
        yield from _leaves(split, f'{key}.dataset', dataset['dataset'], cfg)
    elif isinstance(dataset.get('datasets'), list):
        for i, part in enumerate(dataset['datasets']):
            yield from _leaves(split, f'{key}.datasets.{i}', part, cfg)
    else:
        yield PlannedDataset(split, key, dataset, _build(key, dataset, cfg.default_scope))


def _build(key: str, dataset: dict, scope: str) -> BaseDataset:
    with DefaultScope.overwrite_default_scope(scope):
        try:
            return DATASETS.build({**dataset, 'lazy_init': True})
        except Exception as error:
            raise UsageError(f'{key}: {type(error).__name__}: {error}') from error
