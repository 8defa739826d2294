"""Checks a dataset whose annotations are files of COCO's form."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from convnext_dense.datasets.annotations.coco_file import no_garbage_collection
from convnext_dense.datasets.checker.class_rules import find_in_classes, group_names
from convnext_dense.datasets.checker.findings import DataFinding, DataReport
from convnext_dense.datasets.checker.image_facts import Progress, in_processes, read_image_facts
from convnext_dense.datasets.checker.image_rules import SplitImages, find_copies
from convnext_dense.datasets.checker.objects.object_check import CheckedObjects, find_missing_names
from convnext_dense.datasets.checker.splits import ObjectSplit
from convnext_dense.datasets.formats.places import IMAGE_ENDINGS


def check_objects(
    place: str,
    splits: Sequence[ObjectSplit],
    reads_images: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
    found: Sequence[DataFinding] = (),
) -> tuple[DataReport, list[CheckedObjects]]:
    """Check every annotation and image of a dataset.

    Args:
        place: The dataset, as it was named.
        splits: Its splits.
        reads_images: Whether to read the images, or annotation files and names alone.
        workers: How many processes read images; by default as many as there are cores.
        progress: Shows how far it is, as in `in_processes`.
        found: What was found before, such as while it was converted.

    Returns:
        The report, and the annotation files.

    Example:
        >>> report, _ = check_objects('pets', [ObjectSplit('train', 'no-such.json', 'images')])
        >>> [finding.kind for finding in report.findings]
        ['json']
    """
    report = DataReport(place, {}, list(found))
    with no_garbage_collection():
        checked = [CheckedObjects(split) for split in splits]
    for part in checked:
        report.findings += part.findings
        report.findings += find_missing_names(part)
        report.splits[part.split.name] = _facts(part)
    report.findings += find_in_classes(
        {part.split.name: _classes(part) for part in checked},
        {part.split.name: part.counts for part in checked},
        {part.split.name: part.file.path for part in checked},
        [split.name for split in splits if split.is_training],
    )
    renamed = {finding.image for finding in report.findings if finding.kind == 'image-name'}
    report.findings += [finding for finding in _unused_images(checked) if finding.file not in renamed]
    if reads_images:
        report.findings += _find_in_images(report, checked, workers, progress)
    return report, checked


def _classes(part: CheckedObjects) -> list[str]:
    groups = group_names(part.file.categories)
    names = [category['name'] for category in part.file.categories]
    return [name for name in names if name not in groups or part.counts[name]]


def _facts(part: CheckedObjects) -> dict:
    counts = Counter({name: part.counts[name] for name in _classes(part)})
    return dict(
        annotations=part.file.path,
        folder=part.split.images,
        images=len(part.file.images),
        objects=sum(counts.values()),
        classes=dict(counts.most_common()),
    )


def _find_in_images(
    report: DataReport, checked: Sequence[CheckedObjects], workers: int | None, progress: Progress | None
) -> Iterator[DataFinding]:
    entries = [(part, image) for part in checked for image in part.file.images]
    files = list(dict.fromkeys(part.image_path(image) for part, image in entries))
    facts = dict(zip(files, in_processes(read_image_facts, files, workers, progress, 'images'), strict=True))
    for part in checked:
        part.images = SplitImages(part.split.name, part.split.color_type)
    images = {part.split.name: part.images for part in checked if part.images}
    for part, image in entries:
        size = (image['height'], image['width'])
        yield from images[part.split.name].find(facts[part.image_path(image)], image['id'], size)
    for name, split in images.items():
        yield from split.find_in_all()
        report.splits[name] |= split.facts
    yield from find_copies({name: split.seen for name, split in images.items()})


def _unused_images(checked: Sequence[CheckedObjects]) -> Iterator[DataFinding]:
    """Find images in the folders of the named ones that no split names."""
    named: dict[str, str] = {}
    for part in checked:
        for image in part.file.images:
            named.setdefault(os.path.realpath(part.image_path(image)), part.split.name)
    folders = dict.fromkeys((os.path.dirname(path), split) for path, split in named.items())
    seen = set()
    for folder, split in folders:
        if folder in seen or not os.path.isdir(folder):
            continue
        seen.add(folder)
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            is_image = name.lower().endswith(IMAGE_ENDINGS) and not name.startswith('.')
            if is_image and os.path.realpath(path) not in named:
                yield DataFinding('image-unused', path, 'no annotation file names it', split, image=path)
