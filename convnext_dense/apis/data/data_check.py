"""Checks a dataset: every image, annotation and label map."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from convnext_dense.apis.data.data_places import find_label_splits, find_object_splits
from convnext_dense.checks.data_splits import planned_splits
from convnext_dense.checks.model_limits import model_limits
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.datasets.checker.check_labels import check_labels
from convnext_dense.datasets.checker.findings import DataFinding, DataReport
from convnext_dense.datasets.checker.image_facts import Progress
from convnext_dense.datasets.checker.objects.check_objects import check_objects
from convnext_dense.datasets.checker.objects.object_check import CheckedObjects
from convnext_dense.datasets.checker.splits import LabelSplit, ObjectSplit
from convnext_dense.datasets.formats.places import data_name
from convnext_dense.errors import UsageError

TASKS = ('boxes', 'instances', 'semantic')
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class CheckedData:
    """A dataset that was checked.

    Args:
        report: What was found.
        splits: What was checked: files of COCO's form, or pairs of images and label maps.
        objects: The annotation files.
    """

    report: DataReport
    splits: Sequence[ObjectSplit | LabelSplit]
    objects: Sequence[CheckedObjects] = ()


def check_data(
    data: str | None = None,
    task: str | None = None,
    cfg: Config | None = None,
    reads_images: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CheckedData:
    """Check every image, annotation and label map of a dataset.

    Args:
        data: A folder or an annotation file, as `train` takes it; without it, the config's datasets are checked.
        task: What the data is for: 'boxes', 'instances' or 'semantic'. With a config it is the config's.
        cfg: The config of a model, as `load_config` returns it. With it, what its model and its pipeline lose is found,
            too.
        reads_images: Whether to read the images, or annotation files, label maps and names alone.
        workers: How many processes read images; by default as many as there are cores.
        progress: Wraps what is read to show how far it is: takes an iterable, how many there are, and what they are.

    Raises:
        UsageError: If there is no data, or it is not known what it is for.

    Example:
        >>> check_data('no-such-folder', 'boxes')
        Traceback (most recent call last):
            ...
        convnext_dense.errors.UsageError: data: there is no no-such-folder.
    """
    if data is None and cfg is None:
        raise UsageError('data: name the dataset, or give a config that has one.')
    plan = RunPlan(cfg, tuple(split for split in SPLITS if _has_data(cfg, split))) if cfg is not None else None
    if data is not None:
        place = data
        objects, labels, found, remarks = _find(data, _task(task, plan))
    else:
        assert plan is not None
        place = ', '.join(dict.fromkeys(str(dataset.built.data_root) for dataset in plan.datasets))
        objects, labels, found = planned_splits(plan)
        remarks: list[str] = []
    if labels:
        report = check_labels(place, labels, reads_images, workers, progress, found)
        report.remarks = remarks
        return CheckedData(report, labels)
    if not objects and not found:
        raise UsageError(f'data: {place} has no split that can be checked.')
    report, checked = check_objects(place, objects, reads_images, workers, progress, found)
    report.remarks = remarks
    if cfg is not None:
        limits = model_limits(cfg)
        for part in checked:
            for fault in limits.find(part):
                report.findings += part.as_findings(part.file, fault)
    return CheckedData(report, objects, checked)


def _find(data: str, task: str) -> tuple[list[ObjectSplit], list[LabelSplit], list[DataFinding], list[str]]:
    if not Path(data).exists():
        raise UsageError(f'data: there is no {data}.')
    # Where the data is may be where nothing can be written.
    home = 'work_dirs' if os.access('.', os.W_OK) else tempfile.mkdtemp()
    work_dir = str(Path(home, f'check_{data_name(data)}'))
    if task == 'semantic':
        labels, found, remarks = find_label_splits(data, work_dir)
        return [], labels, found, remarks
    objects, found, remarks = find_object_splits(data, work_dir, task == 'instances')
    return objects, [], found, remarks


def _task(task: str | None, plan: RunPlan | None) -> str:
    """Return what data is for: by the config, if there is one."""
    if plan is None:
        if task not in TASKS:
            raise UsageError(f'task: it must be {", ".join(TASKS[:-1])} or {TASKS[-1]}; got {task}.')
        return task
    own = 'semantic' if plan.cfg.default_scope == 'mmseg' else 'boxes'
    if own == 'boxes' and any('segm' in plan.metrics(split) for split in ('val', 'test')):
        own = 'instances'
    if task not in (None, own):
        raise UsageError(f'task: the config is for {own}; got {task}.')
    return own


def _has_data(cfg: Config, split: str) -> bool:
    return isinstance((cfg.get(f'{split}_dataloader') or {}).get('dataset'), dict)
