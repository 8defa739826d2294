"""Which images and objects of a COCO annotation file a dataset keeps."""

from collections.abc import Iterator

import numpy as np

from convnext_dense.checks.check import Finding
from convnext_dense.checks.run_plan import PlannedDataset
from convnext_dense.datasets.annotations.coco_file import CocoFile
from convnext_dense.datasets.annotations.objects import Objects
from convnext_dense.datasets.annotations.wording import names
from convnext_dense.wording import counted


def find_nothing_left(
    dataset: PlannedDataset, file: CocoFile, objects: Objects, is_masked: np.ndarray, is_scored: bool
) -> Iterator[Finding]:
    """Find a dataset that keeps no image, or no object that a loss or a metric counts.

    Args:
        dataset: The dataset.
        file: Its annotation file.
        objects: The file's objects.
        is_masked: For each annotation, whether it is ignored for its segmentation.
        is_scored: Whether the run reads the dataset's objects: in training, or by a metric.
    """
    if not file.images:
        yield Finding(f'{file.path}: has no images.')
        return
    built = dataset.built
    classes = _classes(dataset, file)
    of_classes = find_used(dataset, file)
    kept = np.ones(len(file.images), dtype=bool)
    if not built.test_mode and built.filter_cfg:
        removed = _removed(file, objects, of_classes, built.filter_cfg)
        for mask in removed.values():
            kept &= ~mask
        if not kept.any():
            reasons = ' and '.join(f'{int(mask.sum())} {reason}' for reason, mask in removed.items() if mask.any())
            reasons = reasons.replace('CLASSES', names(classes))
            yield Finding(f'{dataset.key}.filter_cfg: removes all {len(kept)} images of {file.path}: {reasons}.')
            return
    if not is_scored:
        return
    is_training = dataset.split == 'train'
    end = 'there is nothing to train on' if is_training else 'the AP is -1'
    left = objects.is_left & of_classes
    left[left] = kept[file.rows[left]]
    if not left.any():
        count = len(file.annotations)
        why = (
            f'none of its {count} annotations is an object of {names(classes)} that mmdet reads'
            if count
            else 'no annotations'
        )
        yield Finding(f'{file.path}: {why}; {end}.', is_training)
    elif not (left & ~file.flags('iscrowd') & ~is_masked).any():
        why = 'a crowd' if file.flags('iscrowd')[left].all() else 'a crowd, or ignored for its segmentation'
        effect = 'the box loss is 0' if is_training else end
        yield Finding(f'{file.path}: each of its {counted(int(left.sum()), "object")} is {why}; {effect}.', is_training)


def find_used(dataset: PlannedDataset, file: CocoFile) -> np.ndarray:
    """Return for each annotation of a dataset's file whether it is of one of the dataset's classes."""
    classes = _classes(dataset, file)
    ids = {category_id for category_id, name in file.category_names.items() if name in classes or file.kind == 'lvis'}
    return file.in_categories(ids)


def _classes(dataset: PlannedDataset, file: CocoFile) -> list[str]:
    return dataset.classes or list(file.category_names.values())


def _removed(file: CocoFile, objects: Objects, of_classes: np.ndarray, filter_cfg: dict) -> dict[str, np.ndarray]:
    """Return which images a filter removes, by the reason."""
    removed = {}
    if filter_cfg.get('filter_empty_gt', False):
        if file.kind == 'panoptic':
            things = {category['id'] for category in file.categories if category['isthing']}
            counted = objects.is_left & file.in_categories(things)
        else:
            # mmdet counts what it drops later, too.
            counted = of_classes & ~objects.no_image
        has_object = np.zeros(len(file.images), dtype=bool)
        has_object[file.rows[counted]] = True
        removed['without an object of CLASSES (filter_empty_gt)'] = ~has_object
    if smallest := filter_cfg.get('min_size', 0):
        removed[f'lower or narrower than {smallest} px (min_size)'] = file.sizes.min(axis=1) < smallest
    return removed
