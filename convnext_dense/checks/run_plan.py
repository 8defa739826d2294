"""What a run is about to read: its config, its datasets, and their files."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from convnext_dense.checks.annotations.kept_file import KeptCocoFile
from convnext_dense.checks.classes_and_heads.metainfo import wrong_metainfo
from convnext_dense.config.find import URL_MARK
from convnext_dense.config.tree import evaluators
from convnext_dense.datasets.checked_loading import is_a, transform_class
from convnext_dense.datasets.coco_readers import coco_kind
from convnext_dense.errors import UsageError, describe
from convnext_dense.weights.storage.sources import read_weights

# What mmdet's LoadAnnotations loads if it is not asked, and what its LoadPanopticAnnotations loads besides.
LOADED = {'with_bbox', 'with_label', 'poly2mask'}
PANOPTIC = {'with_mask', 'with_seg'}


@dataclass(frozen=True)
class PlannedDataset:
    """A dataset that a run reads, inside of wrappers such as RepeatDataset and ConcatDataset.

    Args:
        split: 'train', 'val' or 'test'.
        key: Its place in the config, such as ``train_dataloader.dataset``.
        cfg: Its config.
        built: The dataset, without its annotations: ``metainfo``, ``ann_file`` and ``data_prefix`` are final.
        transforms: The classes and configs of its pipeline's transforms, those inside of others included.
    """

    split: str
    key: str
    cfg: dict
    built: BaseDataset
    transforms: list[tuple[type | None, dict]]

    @property
    def is_local(self) -> bool:
        """Whether its files are those of this machine. A file backend may map a path to where it can reach it."""
        paths = [self.built.ann_file, *self.built.data_prefix.values()]
        return not self.cfg.get('backend_args') and not any(URL_MARK in path for path in paths if path)

    @property
    def coco_kind(self) -> str | None:
        """Which kind of `CocoFile` it reads, or None if it reads its annotations in another way."""
        return coco_kind(type(self.built)) if self.is_a('mmdet.CocoDataset') else None

    @property
    def classes(self) -> list[str]:
        """The names of its classes, none if it has no classes."""
        # MOT's datasets have names of all that the files mark, and feed pedestrians.
        names = () if self.is_a('mmdet.MOTChallengeDataset') else self.built.metainfo.get('classes')
        return list(names) if isinstance(names, Iterable) else []

    @property
    def sorts_categories(self) -> bool:
        """Whether its labels follow the ids of the categories, rather than their order in the file."""
        return self.is_a('mmdet.Objects365V1Dataset')

    @property
    def is_segmented(self) -> bool:
        """Whether it is one of mmseg's, with label maps."""
        return self.is_a('mmseg.BaseSegDataset')

    @property
    def has_images_alone(self) -> bool:
        """Whether it has no annotations, as a distillation's."""
        return self.is_a('convnext_dense.ImageFiles')

    @property
    def reads_maps(self) -> bool:
        """Whether its pipeline loads label maps."""
        return self.loads('' if self.is_segmented else 'with_seg')

    @cached_property
    def infos(self) -> list[dict]:
        """What the dataset itself lists, which takes long if it reads a folder.

        Raises:
            UsageError: If that fails.
        """
        try:
            return self.built.load_data_list()
        except Exception as error:
            # Whatever a dataset raises, such as the AssertionError that says which ann_file is missing.
            raise UsageError(f'{self.key}: its images cannot be found ({describe(error)}).') from error

    def is_a(self, name: str) -> bool:
        """Return whether its class is one of another package, such as ``mmdet.CocoDataset``, or inherits from it."""
        return is_a(type(self.built), name)

    def transform(self, name: str) -> dict | None:
        """Return the config of the first transform of a package's class, such as ``mmcv.LoadImageFromFile``."""
        return next((transform for kind, transform in self.transforms if is_a(kind, name)), None)

    def loads(self, option: str) -> bool:
        """Return whether its pipeline loads annotations with an option, such as ``with_mask``.

        Args:
            option: An argument of mmdet's `LoadAnnotations`; '' for whether it loads any.
        """
        return any(
            not option
            or transform.get(
                option, option in (LOADED | PANOPTIC if is_a(kind, 'mmdet.LoadPanopticAnnotations') else LOADED)
            )
            for kind, transform in self.transforms
            if is_a(kind, 'mmcv.LoadAnnotations')
        )


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
        self._coco_files: dict[tuple[str, str], KeptCocoFile] = {}
        # What `list_samples` has read, by the dataset's key.
        self.samples: dict[str, list] = {}

    @property
    def datasets(self) -> list[PlannedDataset]:
        """The datasets that the dataloaders of the splits read, as far as they can be built."""
        return [dataset for dataset in self._leaves if isinstance(dataset, PlannedDataset)]

    @property
    def unbuilt(self) -> list[str]:
        """A sentence for each dataset that cannot be built."""
        return [fault for fault in self._leaves if isinstance(fault, str)]

    @property
    def is_open_vocabulary(self) -> bool:
        """Whether the model reads class names as text, so that each dataset may have its own."""
        return 'language_model' in self.cfg.model or 'text_encoder' in self.cfg.model

    def coco_file(self, dataset: PlannedDataset) -> KeptCocoFile | None:
        """Return a dataset's annotation file, read once in a run, or None if it is no COCO file or is remote."""
        if not dataset.coco_kind or not dataset.is_local or not dataset.built.ann_file:
            return None
        return self.read_coco(dataset.built.ann_file, dataset.coco_kind)

    def read_coco(self, path: str, kind: str) -> KeptCocoFile:
        """Return an annotation file, which is read once in a run.

        Args:
            path: The file.
            kind: As in `CocoFile`.
        """
        key = (path, kind)
        if key not in self._coco_files:
            self._coco_files[key] = KeptCocoFile(path, kind)
        return self._coco_files[key]

    def metrics(self, split: str) -> set[str]:
        """Return what the evaluators of a split score, such as {'bbox', 'segm'}."""
        found = set()
        for evaluator in evaluators(self.cfg, split):
            if not evaluator.get('format_only'):
                metric = evaluator.get('metric', 'bbox')
                found |= {metric} if isinstance(metric, str) else set(metric)
        return found

    @cached_property
    def content(self) -> dict:
        """The content of the checkpoint; its weights are read when they are used. Empty without a checkpoint.

        Raises:
            CheckpointError: If it cannot be read.
        """
        return read_weights(self.checkpoint) if self.checkpoint else {}

    @cached_property
    def _leaves(self) -> list[PlannedDataset | str]:
        return [
            leaf
            for split in self.splits
            for leaf in _leaves(split, f'{split}_dataloader.dataset', self._dataset_cfg(split), self.cfg)
        ]

    def _dataset_cfg(self, split: str) -> dict | None:
        return (self.cfg.get(f'{split}_dataloader') or {}).get('dataset')


def _leaves(split: str, key: str, dataset: dict | None, cfg: Config) -> Iterator[PlannedDataset | str]:
    """Yield the datasets inside of wrappers; for one that cannot be built, the sentence that says so."""
    if not isinstance(dataset, dict):
        return
    if isinstance(dataset.get('dataset'), dict):
        yield from _leaves(split, f'{key}.dataset', dataset['dataset'], cfg)
    elif isinstance(dataset.get('datasets'), list):
        for i, part in enumerate(dataset['datasets']):
            yield from _leaves(split, f'{key}.datasets.{i}', part, cfg)
    else:
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            try:
                built = DATASETS.build({**dataset, 'lazy_init': True})
                transforms = list(_transforms(dataset.get('pipeline')))
            except Exception as error:  # noqa: BLE001 - whatever a dataset raises
                yield _why_unbuilt(key, dataset, error)
            else:
                yield PlannedDataset(split, key, dataset, built, transforms)


def _why_unbuilt(key: str, dataset: dict, error: Exception) -> str:
    # mmseg refuses some class names in words that do not say which.
    kind = DATASETS.get(dataset['type']) if isinstance(dataset.get('type'), str) else dataset.get('type')
    faults = wrong_metainfo(key, dataset, getattr(kind, 'METAINFO', {}), is_a(kind, 'mmseg.BaseSegDataset'))
    # Some of mmseg's assert that their folders are there, and say nothing more.
    missing = (f'{key}.{name}: there is no {path}.' for name, path in _places(dataset) if not Path(path).exists())
    return next(chain(faults, missing), f'{key}: {describe(error)}.')


def _places(dataset: dict) -> Iterator[tuple[str, str]]:
    """Yield the keys and paths of what a dataset's config names."""
    root = dataset.get('data_root') or ''
    if root:
        yield 'data_root', root
    prefixes = dataset.get('data_prefix') or {}
    named = {'ann_file': dataset.get('ann_file'), **{f'data_prefix.{name}': path for name, path in prefixes.items()}}
    for name, path in named.items():
        if isinstance(path, str) and path and URL_MARK not in path and not dataset.get('backend_args'):
            yield name, os.path.join(root, path)


def _transforms(pipeline: object) -> Iterator[tuple[type | None, dict]]:
    """Yield the classes and configs of a pipeline's transforms, those inside of others included."""
    if isinstance(pipeline, dict):
        if 'type' in pipeline:
            yield transform_class(pipeline), pipeline
        pipeline = list(pipeline.values())
    if isinstance(pipeline, list | tuple):
        for part in pipeline:
            yield from _transforms(part)
