"""The check on annotation files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convnext_dense.checks.annotations.kept_images import find_nothing_left, find_used
from convnext_dense.checks.check import Check, Finding, as_finding
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.annotations.coco_file import CocoFile, find_repeated_ids
from convnext_dense.datasets.annotations.masks import Masks
from convnext_dense.datasets.annotations.objects import Objects, find_wrong_boxes
from convnext_dense.datasets.cache.findings import remember


def find_in_annotations(plan: RunPlan) -> Iterator[Finding]:
    """Find what is wrong in the COCO annotation files of a run's datasets, each sentence once."""
    said = set()
    for dataset in plan.datasets:
        file = plan.coco_file(dataset)
        if file is None or not file.exists:
            continue
        for finding in _remembered(plan, dataset, file):
            if finding.sentence not in said:
                said.add(finding.sentence)
                yield finding


def _remembered(plan: RunPlan, dataset: PlannedDataset, file: CocoFile) -> list[Finding]:
    """Return what is found in a file. Of a large file it is kept for the next run with the same dataset."""
    built = dataset.built
    used = [
        file.path,
        file.kind,
        dataset.split,
        dataset.key,
        dataset.cfg,
        dataset.classes,
        sorted(plan.metrics(dataset.split)),
    ]
    defaults = [type(built).__module__, type(built).__qualname__, built.filter_cfg, built.test_mode]
    return remember('findings', [used, defaults], Path(file.path), list[Finding], lambda: [*_find(plan, dataset, file)])


def _find(plan: RunPlan, dataset: PlannedDataset, file: CocoFile) -> Iterator[Finding]:
    if file.faults:
        yield from map(as_finding, file.faults)
        return
    yield from map(as_finding, find_repeated_ids(file))
    wrong = list(find_wrong_boxes(file))
    yield from map(as_finding, wrong)
    if wrong:
        return
    objects = Objects(file)
    yield from map(as_finding, objects.find())
    metrics = plan.metrics(dataset.split)
    is_scored = 'segm' in metrics
    is_masked = np.zeros(len(file.annotations), dtype=bool)
    if file.kind != 'panoptic' and (dataset.loads('with_mask') or is_scored):
        only_polygons = dataset.loads('with_mask') and not dataset.loads('poly2mask')
        masks = Masks(file, objects.is_left & find_used(dataset, file), is_scored, only_polygons)
        yield from map(as_finding, masks.find())
        is_masked = masks.is_ignored
    reads_objects = dataset.loads('with_bbox') if dataset.split == 'train' else bool(metrics)
    yield from find_nothing_left(dataset, file, objects, is_masked, reads_objects)


ANNOTATIONS = Check(
    'annotations', 'COCO annotation files: fields, ids, boxes, masks, what is left', find_in_annotations
)
