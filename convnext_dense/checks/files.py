"""The check on files: datasets can be built, and their annotation files, folders, images and label maps are there."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from mmengine.fileio import list_from_file

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.images.samples import list_samples, spread
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.annotations.wording import subject
from convnext_dense.datasets.own_folders import leading_out, leads_out_of, own_folders
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import special_kind

# Files are looked up in a listing of their folder if it is not larger; otherwise this many are looked for.
LISTED_NAMES = 500_000
LISTED_FOLDERS = 200
SAMPLE = 500
# Prefixes that only a pipeline with semantic or panoptic maps reads.
MAP_PREFIXES = ('seg', 'seg_map_path', 'ann')


def find_in_files(plan: RunPlan) -> Iterator[Finding]:
    """Find datasets that cannot be built, and their files and folders that are not there."""
    yield from map(Finding, plan.unbuilt)
    for dataset in plan.datasets:
        if dataset.is_local:
            yield from _find(plan, dataset)


def _find(plan: RunPlan, dataset: PlannedDataset) -> Iterator[Finding]:
    built = dataset.built
    missing = list(_missing_root(dataset)) or [*_missing_ann_file(dataset), *_missing_folders(dataset)]
    yield from missing
    if missing:
        return
    if dataset.coco_kind:
        file = plan.coco_file(dataset)
        if file and not file.faults and file.kind != 'lvis':
            yield from _images_of(dataset, [image['file_name'] for image in file.images], file.image_ids)
    elif dataset.is_segmented:
        yield from _images_and_maps_of(plan, dataset)
    elif type(built).load_data_list.__qualname__ == 'XMLDataset.load_data_list':
        names = list_from_file(built.ann_file)
        root = built.sub_data_root
        for folder, suffix in ((built.ann_subdir, '.xml'), (built.img_subdir, '.jpg')):
            yield from _absent(dataset, [os.path.join(root, folder, name + suffix) for name in names], 'file')


def _missing_root(dataset: PlannedDataset) -> Iterator[Finding]:
    root = dataset.built.data_root
    if root and not Path(root).is_dir():
        yield Finding(
            f'{dataset.key}.data_root: there is no folder {root}; put the dataset there, or give its place by '
            f'cfg_options {dataset.key}.data_root=PATH.'
        )


def _missing_ann_file(dataset: PlannedDataset) -> Iterator[Finding]:
    path = dataset.built.ann_file
    if path and not Path(path).exists():
        yield Finding(f'{dataset.key}.ann_file: there is no {path}{_there_instead(path)}.')


def _missing_folders(dataset: PlannedDataset) -> Iterator[Finding]:
    for name, folder in dataset.built.data_prefix.items():
        if not folder or (name in MAP_PREFIXES and not dataset.reads_maps):
            continue
        if not Path(folder).is_dir():
            yield Finding(f'{dataset.key}.data_prefix.{name}: there is no folder {folder}{_there_instead(folder)}.')


def _there_instead(path: str) -> str:
    """Return what the nearest folder that is there holds."""
    folder = Path(path).parent
    if not folder.is_dir():
        return ''
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in islice(entries, 100))
    shown = ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')
    return f'; {folder} holds {shown or "nothing"}'


def _images_of(dataset: PlannedDataset, file_names: Sequence[str], ids: Sequence) -> Iterator[Finding]:
    prefix = dataset.built.data_prefix.get('img') or ''
    place = dataset.built.ann_file
    paths = [os.path.join(prefix, name) for name in file_names]
    folders = _own_folders(dataset)
    if out := set(leading_out(paths, folders)):
        odd = [i for i, path in enumerate(paths) if path in out]
        who = subject('image', [ids[i] for i in odd], len(ids))
        yield Finding(f'{place}: {who} the file_name {file_names[odd[0]]!r:.100}, which {leads_out_of(folders)}')
        return
    slashed = {i: name for i, name in enumerate(file_names) if '\\' in name and not Path(prefix, name).exists()}
    if slashed:
        who = subject('image', [ids[i] for i in slashed], len(ids))
        yield Finding(
            f'{place}: {who} the file_name {next(iter(slashed.values()))!r:.100} with a backslash, which is no such '
            'file; it must have slashes.'
        )
        file_names = [name for i, name in enumerate(file_names) if i not in slashed]
    yield from _absent(dataset, [os.path.join(prefix, name) for name in file_names], 'image')


def _images_and_maps_of(plan: RunPlan, dataset: PlannedDataset) -> Iterator[Finding]:
    built = dataset.built
    folder = built.data_prefix.get('img_path') or ''
    try:
        samples = list_samples(plan, dataset)
    except UsageError as error:
        yield Finding(str(error))
        return
    paths = [path for sample in samples for path in (sample.image, sample.label_map) if path]
    folders = _own_folders(dataset)
    if out := leading_out(paths, folders):
        yield Finding(f'{dataset.key}: {built.ann_file or folder}: the file {out[0]!r:.100} {leads_out_of(folders)}')
        return
    if not samples:
        yield Finding(
            f'{dataset.key}.img_suffix: no image in {built.ann_file or folder} ends in {built.img_suffix!r}; '
            f'{folder} holds {_suffixes(folder)}.'
        )
        return
    yield from _absent(dataset, [sample.image for sample in samples], 'image')
    maps = [sample.label_map for sample in samples if sample.label_map]
    if not dataset.reads_maps or not maps:
        return
    folder = built.data_prefix['seg_map_path']
    if not any(path.endswith(built.seg_map_suffix) for path in _walk(folder)):
        yield Finding(
            f'{dataset.key}.seg_map_suffix: no label map in {folder} ends in {built.seg_map_suffix!r}; it holds '
            f'{_suffixes(folder)}.'
        )
        return
    yield from _absent(dataset, maps, 'label map')
    # A list of names, or of indices, leaves out images on purpose.
    if not built.ann_file and dataset.cfg.get('indices') is None:
        expected = set(maps)
        alone = [path for path in _walk(folder) if path.endswith(built.seg_map_suffix) and path not in expected]
        if alone:
            are = (
                f'label map {alone[0]} has' if len(alone) == 1 else f'{len(alone)} label maps, such as {alone[0]}, have'
            )
            yield Finding(f'{dataset.key}: {are} no image that ends in {built.img_suffix!r}.', is_error=False)


def _own_folders(dataset: PlannedDataset) -> list[str]:
    # The prefixes are joined with the root already.
    built = dataset.built
    return own_folders(built.data_root, dataset.cfg.get('data_prefix') if built.data_root else built.data_prefix)


def _suffixes(folder: str) -> str:
    """Return how many files of which suffixes a folder holds."""
    suffixes = Counter(Path(path).suffix for path in _walk(folder))
    return (
        ', '.join(f'{count} {suffix or "without a suffix"}' for suffix, count in suffixes.most_common(3)) or 'no files'
    )


def _walk(folder: str) -> Iterator[str]:
    paths = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    return islice(paths, LISTED_NAMES)


def _absent(dataset: PlannedDataset, paths: Sequence[str], noun: str) -> Iterator[Finding]:
    looked, absent = _look_for(paths)
    if not absent:
        return
    # A run may read some of the entries only.
    is_error = dataset.cfg.get('indices') is None
    if len(absent) == looked > 1:
        what = f'none of {looked} {noun}s is there; the first is'
    elif len(absent) > 1:
        what = f'{len(absent)} of {looked} {noun}s are not there, such as'
    else:
        what = f'there is no {noun}'
    kind = special_kind(absent[0])
    yield Finding(f'{dataset.key}: {what} {absent[0]}{f", but {kind}" if kind else ""}.', is_error)


def _look_for(paths: Sequence[str]) -> tuple[int, list[str]]:
    """Return how many of the files were looked for, and those that are not there."""
    folders = defaultdict(list)
    for path in paths:
        folders[os.path.dirname(path)].append(path)
    if len(paths) <= SAMPLE or len(folders) > LISTED_FOLDERS:
        sample = list(spread(paths, SAMPLE))
        return len(sample), [path for path in sample if not os.path.isfile(path)]
    looked, absent = 0, []
    for folder, wanted in folders.items():
        names = _names(folder)
        if names is None:
            wanted = list(spread(wanted, SAMPLE))
            absent += [path for path in wanted if not os.path.isfile(path)]
        else:
            absent += [path for path in wanted if os.path.basename(path) not in names]
        looked += len(wanted)
    return looked, absent


def _names(folder: str) -> set[str] | None:
    """Return the names in a folder, or None if there are too many."""
    try:
        with os.scandir(folder or '.') as entries:
            names = {entry.name for entry in islice(entries, LISTED_NAMES)}
    except OSError:
        return set()
    return names if len(names) < LISTED_NAMES else None


FILES = Check(
    'files',
    'datasets: whether they can be built, their files and folders are there, and no name leads out of them',
    find_in_files,
)
