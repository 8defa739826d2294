"""A few of a dataset's images and label maps, and what loads them."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.errors import UsageError

# How many files of a dataset are read, and for how long at most.
SAMPLES = 64
SECONDS = 1.0

Item = TypeVar('Item')


@dataclass(frozen=True)
class Sample:
    """An image of a dataset.

    Args:
        image: Its file.
        size: Its height and width by the annotations, if they have it.
        label_map: Its label map's file; '' if it has none.
    """

    image: str
    size: tuple[int, int] | None = None
    label_map: str = ''


def list_samples(plan: RunPlan, dataset: PlannedDataset) -> list[Sample]:
    """Return all images that a dataset reads, which are looked up once in a run.

    There are none if its files are elsewhere, or its kind is not known.

    Args:
        plan: The run.
        dataset: One of its datasets.

    Raises:
        UsageError: If that fails.
    """
    if dataset.key not in plan.samples:
        plan.samples[dataset.key] = _list(plan, dataset)
    return plan.samples[dataset.key]


def _list(plan: RunPlan, dataset: PlannedDataset) -> list[Sample]:
    built = dataset.built
    if not dataset.is_local:
        return []
    if dataset.is_segmented:
        found = [Sample(info['img_path'], None, info.get('seg_map_path') or '') for info in dataset.infos]
    elif dataset.has_images_alone:
        found = [Sample(info['img_path']) for info in dataset.infos]
    elif dataset.coco_kind:
        found = [
            Sample(
                os.path.join(built.data_prefix.get('img', ''), image['file_name']), (image['height'], image['width'])
            )
            for image in _coco_images(plan, dataset)
        ]
    else:
        return []
    indices = dataset.cfg.get('indices')
    if isinstance(indices, int):
        return found[:indices] if indices >= 0 else found[indices:]
    return found if indices is None else [found[i] for i in indices if -len(found) <= i < len(found)]


def spread(items: Sequence[Item], count: int = SAMPLES, seconds: float = SECONDS) -> Iterator[Item]:
    """Yield items evenly over a sequence, until the time is up: first few that are far apart, then those between.

    Args:
        items: The sequence.
        count: How many.
        seconds: The time. At least one item is yielded.

    Example:
        >>> list(spread(range(100), count=4))
        [0, 66, 33, 99]
    """
    chosen = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    # Every other one first, and of those every other one first: the numbers in the order of their reversed bits.
    width = max(len(chosen) - 1, 1).bit_length()
    order = sorted(range(len(chosen)), key=lambda i: int(f'{i:0{width}b}'[::-1], 2))
    end = time.monotonic() + seconds
    for i, place in enumerate(order):
        if i and time.monotonic() > end:
            return
        yield items[chosen[place]]


def loaded_samples(plan: RunPlan, name: str) -> Iterator[tuple[PlannedDataset, dict, list[Sample]]]:
    """Yield the datasets whose images or maps a class loads: the dataset, the transform's config, and its images.

    Args:
        plan: The run.
        name: The class, as in `is_a`.
    """
    for dataset in plan.datasets:
        loader = dataset.transform(name)
        if loader is None:
            continue
        try:
            samples = list_samples(plan, dataset)
        except UsageError:
            # The check `files` says it.
            continue
        yield dataset, loader, samples


def _coco_images(plan: RunPlan, dataset: PlannedDataset) -> list[dict]:
    """Return the entries of the images that are read; none if the annotation file cannot be."""
    file = plan.coco_file(dataset)
    if file is None or file.faults:
        return []
    images = file.images
    if dataset.split == 'train' and (dataset.cfg.get('filter_cfg') or {}).get('filter_empty_gt'):
        left_out = set(file.rows_without_objects)
        images = [image for row, image in enumerate(images) if row not in left_out]
    return [image for image in images if all(key in image for key in ('file_name', 'height', 'width'))]
