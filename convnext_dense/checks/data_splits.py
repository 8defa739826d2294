"""The splits that a config's dataloaders read, as a full check of the data takes them."""

from collections.abc import Iterator

from convnext_dense.checks.check import Finding
from convnext_dense.checks.classes_and_heads.classes import CLASSES
from convnext_dense.checks.classes_and_heads.evaluators import EVALUATORS
from convnext_dense.checks.classes_and_heads.heads import HEADS
from convnext_dense.checks.images.label_maps import label_rules
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.checker.findings import DataFinding
from convnext_dense.datasets.checker.kinds import ERROR, WARNING
from convnext_dense.datasets.checker.splits import LabelSplit, ObjectSplit
from convnext_dense.errors import UsageError


def planned_splits(plan: RunPlan) -> tuple[list[ObjectSplit], list[LabelSplit], list[DataFinding]]:
    """Return the splits of a config, and what the config and the data do not have in common.

    Args:
        plan: What a run of the config would read.
    """
    objects: dict[tuple, ObjectSplit] = {}
    labels: dict[tuple, LabelSplit] = {}
    found = [DataFinding('config', plan.cfg.filename or 'config', sentence) for sentence in plan.unbuilt]
    found += [_as_data_finding(plan, finding) for finding in _quick_findings(plan)]
    names: set[str] = set()
    for dataset in plan.datasets:
        name = _name(dataset, names)
        if dataset.coco_kind == 'instances' and dataset.is_local:
            split = ObjectSplit(
                name,
                str(dataset.built.ann_file),
                dataset.built.data_prefix.get('img') or '',
                dataset.loads('with_mask') or 'segm' in plan.metrics(dataset.split),
                color_type(dataset),
                dataset.split == 'train',
            )
            objects.setdefault((split.annotations, split.images), split)
        elif dataset.is_segmented and dataset.is_local:
            try:
                split = _label_split(plan, dataset, name)
            except UsageError as error:
                found.append(DataFinding('data', dataset.key, str(error), name))
            else:
                labels.setdefault(tuple(split.pairs), split)
        else:
            kind = type(dataset.built).__name__
            sentence = f'{dataset.key}: files of a {kind} are not read; its annotations are neither of COCO nor maps.'
            found.append(DataFinding('config', dataset.key, sentence, name, level=WARNING))
    return list(objects.values()), list(labels.values()), found


def color_type(dataset: PlannedDataset) -> str:
    """Return how a dataset's images are loaded, as mmcv's LoadImageFromFile takes it."""
    return (dataset.transform('mmcv.LoadImageFromFile') or {}).get('color_type', 'color')


def _name(dataset: PlannedDataset, names: set[str]) -> str:
    name, count = dataset.split, 1
    while name in names:
        count += 1
        name = f'{dataset.split} {count}'
    names.add(name)
    return name


def _label_split(plan: RunPlan, dataset: PlannedDataset, name: str) -> LabelSplit:
    return LabelSplit(
        name,
        [(info['img_path'], info['seg_map_path']) for info in dataset.infos if info.get('seg_map_path')],
        tuple(dataset.built.metainfo.get('classes') or ()),
        label_rules(plan, dataset),
        color_type(dataset),
        dataset.split == 'train',
        bool(type(dataset.built).METAINFO.get('classes')),
    )


def _quick_findings(plan: RunPlan) -> Iterator[Finding]:
    for check in (CLASSES, HEADS, EVALUATORS):
        yield from check.find(plan)


def _as_data_finding(plan: RunPlan, finding: Finding) -> DataFinding:
    level = ERROR if finding.is_error else WARNING
    return DataFinding('config', plan.cfg.filename or 'config', finding.sentence, level=level)
