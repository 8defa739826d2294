"""The check on class names: those of the config, of the annotation files, of training and validation."""

from collections.abc import Iterator

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.classes_and_heads.metainfo import nearest, wrong_metainfo
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.annotations.coco_file import CocoFile, repeated
from convnext_dense.datasets.annotations.wording import names
from convnext_dense.wording import counted


def find_in_classes(plan: RunPlan) -> Iterator[Finding]:
    """Find class names of datasets that are wrong, or that are not those of their files or of each other."""
    good = []
    for dataset in plan.datasets:
        faults = list(wrong_metainfo(dataset.key, dataset.cfg, type(dataset.built).METAINFO, dataset.is_segmented))
        yield from map(Finding, faults)
        if not faults and dataset.classes:
            good.append(dataset)
    for dataset in good:
        yield from _short_palette(dataset)
        file = plan.coco_file(dataset)
        if file and file.exists and not file.faults and file.kind != 'lvis':
            yield from _other_names(dataset, file)
    if not plan.is_open_vocabulary:
        yield from _other_datasets(good)


def _short_palette(dataset: PlannedDataset) -> Iterator[Finding]:
    palette = dataset.built.metainfo.get('palette')
    if isinstance(palette, list | tuple) and 0 < len(palette) < len(dataset.classes):
        yield Finding(
            f'{dataset.key}.metainfo.palette: {type(dataset.built).__name__} has {counted(len(palette), "color")} for '
            f'{counted(len(dataset.classes), "class")}, which drawing needs; give one for each.',
            is_error=False,
        )


def _other_names(dataset: PlannedDataset, file: CocoFile) -> Iterator[Finding]:
    classes = dataset.classes
    there = list(file.category_names.values())
    # mmdet's labels follow the order of the file's categories, whatever the order of the config's names.
    if dataset.sorts_categories:
        there = [file.category_names[category_id] for category_id in sorted(file.category_names, key=_rank)]
    place = f'{dataset.key}.metainfo.classes'
    if 'classes' not in (dataset.cfg.get('metainfo') or {}):
        place = f"{place} (not given, so {type(dataset.built).__name__}'s own)"
    if missing := [name for name in classes if name not in there]:
        are = f'names {missing[0]!r}' if len(missing) == 1 else f'names {names(missing)}'
        which = 'which' if len(missing) == 1 else 'none of which'
        has = 'has not' if len(missing) == 1 else 'has'
        yield Finding(
            f'{place}: {are}, {which} {file.path} {has}{nearest(missing[0], there)}; its names are {names(there)}.'
        )
        return
    used = [name for name in there if name in classes]
    if twice := repeated(used):
        yield Finding(f'{file.path}: has two categories named {twice[0]!r}, which shift the labels; names must differ.')
    elif used != classes:
        first = next(i for i, (name, other) in enumerate(zip(classes, used, strict=True)) if name != other)
        yield Finding(
            f'{place}: is {names(classes)}, but {file.path} has the order {names(used)}, which the labels follow: '
            f"its '{used[first]}' would be called '{classes[first]}'; use the order of the file."
        )
    if left_out := [name for name in there if name not in classes]:
        yield Finding(
            f'{place}: leaves out {names(left_out)} of {file.path}; their objects are dropped.', is_error=False
        )


def _rank(category_id: float | str) -> tuple[bool, float | str]:
    """Return a key that sorts numbers, and texts after them."""
    return isinstance(category_id, str), category_id


def _other_datasets(datasets: list[PlannedDataset]) -> Iterator[Finding]:
    for dataset in datasets[1:]:
        first = datasets[0]
        if dataset.classes != first.classes:
            only = [name for name in dataset.classes if name not in first.classes] or [
                name for name in first.classes if name not in dataset.classes
            ]
            what = f'only one has {names(only)}' if only else 'the order differs'
            yield Finding(
                f'{dataset.key}.metainfo.classes: is {names(dataset.classes)}, but {first.key} has '
                f'{names(first.classes)}: {what}; a label must mean the same in both.'
            )


CLASSES = Check(
    'classes', 'class names of the config, of annotation files, of training and validation', find_in_classes
)
