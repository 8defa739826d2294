"""A few of a dataset's images and label maps, and what loads them."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope

from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.checked_loading import is_a, transform_class
from convnext_dense.datasets.file_faults import is_here
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
        UsageError: If a segmenter's folder or list cannot be read.
    """
    if dataset.key not in plan.samples:
        plan.samples[dataset.key] = _list(plan, dataset)
    return plan.samples[dataset.key]


def _list(plan: RunPlan, dataset: PlannedDataset) -> list[Sample]:
    built = dataset.built
    if not is_local(dataset):
        return []
    if is_segmented(dataset):
        infos = _infos(built)
        found = [Sample(info['img_path'], None, info.get('seg_map_path') or '') for info in infos]
    elif is_a(type(built), 'mmdet.CocoDataset'):
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
    return [found[i] for i in indices] if indices is not None else found


def is_segmented(dataset: PlannedDataset) -> bool:
    """Return whether a dataset is one of mmseg's, with label maps.

    Args:
        dataset: The dataset.
    """
    return is_a(type(dataset.built), 'mmseg.BaseSegDataset')


def is_local(dataset: PlannedDataset) -> bool:
    """Return whether a dataset's files are paths on this machine. A file backend may map them to where they are.

    Args:
        dataset: The dataset.
    """
    folder = dataset.built.data_prefix.get('img_path', dataset.built.data_prefix.get('img'))
    return not dataset.cfg.get('backend_args') and (not folder or is_here(folder))


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


def find_transform(plan: RunPlan, dataset: PlannedDataset, name: str) -> dict | None:
    """Return the config of the first transform of a class in a dataset's pipeline, those inside of others included.

    Args:
        plan: The run.
        dataset: One of its datasets.
        name: The class, as in `is_a`.
    """
    with DefaultScope.overwrite_default_scope(plan.cfg.default_scope):
        return next(_of_class(dataset.cfg.get('pipeline'), name), None)


def _infos(dataset: BaseDataset) -> list[dict]:
    try:
        return dataset.load_data_list()
    except FileNotFoundError as error:
        raise UsageError(f'there is no {error.filename}') from error
    except Exception as error:
        # Such as the AssertionError that says which ann_file is missing.
        raise UsageError(f'its images cannot be listed: {type(error).__name__}: {error}') from error


def _of_class(node: object, name: str) -> Iterator[dict]:
    if isinstance(node, dict):
        found = transform_class(node) if 'type' in node else None
        if is_a(found, name):
            yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for part in node:
            yield from _of_class(part, name)


def _coco_images(plan: RunPlan, dataset: PlannedDataset) -> list[dict]:
    """Return the entries of the images that are read; none if the annotation file cannot be."""
    file = plan.coco_file(dataset)
    if file is None or file.faults:
        return []
    images = [image for image in file.images if all(key in image for key in ('file_name', 'height', 'width'))]
    if dataset.split == 'train' and (dataset.cfg.get('filter_cfg') or {}).get('filter_empty_gt'):
        annotated = set(file.columns['image_id'])
        images = [image for image in images if image.get('id') in annotated]
    return images
