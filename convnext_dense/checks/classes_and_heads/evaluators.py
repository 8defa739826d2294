"""The check on evaluators: their annotation file is the dataset's, and they know what they are to compute."""

from collections.abc import Iterator
from pathlib import Path

from convnext_dense.checks.check import Check, Finding, as_finding
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.config.find import URL_MARK
from convnext_dense.config.tree import bare_type, evaluators
from convnext_dense.datasets.annotations.coco_file import CocoFile
from convnext_dense.datasets.annotations.wording import names, subject
from convnext_dense.wording import counted

# It takes each image's dataset from the predictions, and has an evaluator for each.
SEVERAL = 'MultiDatasetsEvaluator'
IOU_METRICS = ('mIoU', 'mDice', 'mFscore')


def find_in_evaluators(plan: RunPlan) -> Iterator[Finding]:
    """Find evaluators whose annotation file is missing, or does not describe the images of the split's datasets."""
    for split in ('val', 'test'):
        if split not in plan.splits:
            continue
        given = plan.cfg.get(f'{split}_evaluator')
        for i, evaluator in enumerate(evaluators(plan.cfg, split)):
            holder = f'{split}_evaluator.{i}' if isinstance(given, list) else f'{split}_evaluator'
            yield from _unknown_metrics(holder, evaluator)
            path, key = evaluator.get('ann_file'), f'{holder}.ann_file'
            if not path or evaluator.get('backend_args') or URL_MARK in path:
                continue
            if not Path(path).exists():
                yield Finding(f'{key}: there is no {path}.')
            elif not str(evaluator.get('type')).endswith(SEVERAL):
                yield from _other_file(plan, key, path, split)


def _unknown_metrics(holder: str, evaluator: dict) -> Iterator[Finding]:
    """Find names that mmseg's metric looks at after the whole evaluation."""
    given = evaluator.get('iou_metrics', [])
    if bare_type(evaluator.get('type')) == 'IoUMetric':
        for name in given if isinstance(given, list | tuple) else [given]:
            if name not in IOU_METRICS:
                yield Finding(f'{holder}.iou_metrics: there is no {name!r}; there are {", ".join(IOU_METRICS)}.')


def _other_file(plan: RunPlan, key: str, path: str, split: str) -> Iterator[Finding]:
    scored = [dataset for dataset in plan.datasets if dataset.split == split]
    for dataset in scored:
        data = plan.coco_file(dataset)
        if data is None or data.faults or Path(path).resolve() == Path(data.path).resolve():
            continue
        metric = plan.read_coco(path, data.kind)
        if metric.faults:
            yield from map(as_finding, metric.faults)
            continue
        yield from _other_images(key, metric, dataset, data)
        if dataset.classes and data.kind != 'lvis':
            yield from _other_classes(key, metric, dataset, data)
        # Several datasets may share the evaluator's file.
        if len(scored) == 1 and len(metric.image_rows) > len(data.image_rows):
            more = len(metric.image_rows) - len(data.image_rows)
            yield Finding(
                f'{key}: {path} has {counted(more, "image")} that {data.path} ({dataset.key}.ann_file) has not; '
                'their objects '
                'count as missed.',
                is_error=False,
            )


def _other_images(key: str, metric: CocoFile, dataset: PlannedDataset, data: CocoFile) -> Iterator[Finding]:
    unknown, other = [], []
    for image in data.images:
        row = metric.image_rows.get(image['id'])
        if row is None:
            unknown.append(image['id'])
        elif image.get('file_name') != metric.images[row].get('file_name'):
            other.append((image, metric.images[row]))
    source = f'{data.path} ({dataset.key}.ann_file)'
    if unknown:
        who = subject('image', unknown, len(data.images), 'is', 'are')
        yield Finding(f'{key}: is {metric.path}, but {who} in {source} alone; it must be the same file.')
    elif other:
        image, theirs = other[0]
        yield Finding(
            f'{key}: is {metric.path}, whose image {image["id"]!r} is {theirs.get("file_name")}, but in {source} it is '
            f'{image.get("file_name")}; it must be the same file.'
        )


def _other_classes(key: str, metric: CocoFile, dataset: PlannedDataset, data: CocoFile) -> Iterator[Finding]:
    ours, theirs = (
        [name for name in file.category_names.values() if name in dataset.classes] for file in (data, metric)
    )
    if ours != theirs and not dataset.sorts_categories:
        yield Finding(
            f'{key}: {metric.path} has the classes {names(theirs)}, but {data.path} ({dataset.key}.ann_file) has '
            f'{names(ours)}; it must have the same in the same order.'
        )


EVALUATORS = Check('evaluator', "the evaluators' annotation files, and those of the datasets", find_in_evaluators)
