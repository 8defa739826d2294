"""The check on annotation files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convnext_dense.checks.annotations.coco_file import CocoFile, repeated
from convnext_dense.checks.annotations.kept_images import find_nothing_left, find_used
from convnext_dense.checks.annotations.masks import Masks
from convnext_dense.checks.annotations.objects import Objects, find_wrong_boxes
from convnext_dense.checks.annotations.wording import subject
from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
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
        yield from map(Finding, file.faults)
        return
    yield from _repeated_ids(file)
    wrong = list(find_wrong_boxes(file))
    yield from wrong
    if wrong:
        return
    objects = Objects(file)
    yield from objects.find()
    metrics = plan.metrics(dataset.split)
    is_scored = 'segm' in metrics
    is_masked = np.zeros(len(file.annotations), dtype=bool)
    if file.kind != 'panoptic' and (dataset.loads('with_mask') or is_scored):
        only_polygons = dataset.loads('with_mask') and not dataset.loads('poly2mask')
        masks = Masks(file, objects.is_left & find_used(dataset, file), is_scored, only_polygons)
        yield from masks.find()
        is_masked = masks.is_ignored
    reads_objects = dataset.loads('with_bbox') if dataset.split == 'train' else bool(metrics)
    yield from find_nothing_left(dataset, file, objects, is_masked, reads_objects)


def _repeated_ids(file: CocoFile) -> Iterator[Finding]:
    if ids := repeated(file.image_ids):
        first = [image.get('file_name', image.get('coco_url')) for image in file.images if image['id'] == ids[0]]
        who = subject('image id', ids, len(file.images), 'is', 'are')
        is_same = len(set(first)) == 1
        files = f'both for {first[0]}' if is_same else f'for {" and ".join(first[:2])}'
        end = 'mmdet reads the last' if is_same else 'mmdet would read the last alone; ids must differ'
        yield Finding(f'{file.path}: {who} there more than once, {files}; {end}.', not is_same)
    # Segments of several images may share an id.
    if file.kind != 'panoptic' and (ids := repeated(file.columns['id'])):
        who = subject('annotation id', ids, len(file.annotations), 'is', 'are')
        yield Finding(f'{file.path}: {who} there more than once; annotation ids must differ.')
    if ids := repeated([category['id'] for category in file.categories]):
        shown = [category['name'] for category in file.categories if category['id'] == ids[0]]
        who = subject('category id', ids, len(file.categories), 'is', 'are')
        yield Finding(f'{file.path}: {who} there more than once, for {" and ".join(shown)}; category ids must differ.')


ANNOTATIONS = Check(
    'annotations', 'COCO annotation files: fields, ids, boxes, masks, what is left', find_in_annotations
)
