"""The batch that takes the most memory, of those that a dataset may yield."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.structures import PixelData
from torch import Tensor
from torch.nn import functional as F

# Pipelines choose scales and crops at random; of a dataset this many samples are drawn.
CROWDED_SAMPLES, OTHER_SAMPLES = 12, 24
MAX_COUNTED_SAMPLES = 20_000
IGNORED_LABEL = 255


class WorstSample(NamedTuple):
    """A sample as large as the largest, with as many objects as the fullest.

    Args:
        inputs: The image, channels first.
        data_sample: Its annotations.
        objects: How many objects it has.
    """

    inputs: Tensor
    data_sample: Any
    objects: int

    def batch(self, size: int) -> dict[str, list]:
        """Return a batch of copies.

        Args:
            size: How many.
        """
        samples = [copy.deepcopy(self.data_sample) for _ in range(size)]
        return dict(inputs=[self.inputs] * size, data_samples=samples)


def worst_sample(dataset: Any, groups_by_shape: bool = False) -> WorstSample:  # noqa: ANN401 - any of mmengine's
    """Draw samples, and put the largest image and the most objects together.

    Args:
        dataset: A built dataset of mmdet's or mmseg's style, with its pipeline.
        groups_by_shape: Whether a batch has either upright or broad images, as with AspectRatioBatchSampler.
    """
    samples = [dataset[index] for index in [*_crowded(dataset), *_spread(len(dataset), OTHER_SAMPLES)]]
    groups = [[sample for sample in samples if _is_upright(sample) == upright] for upright in (False, True)]
    shapes = [_common_shape(group) for group in (groups if groups_by_shape else [samples]) if group]
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])
    # One that is larger already need not be padded by much, so of equals the largest counts.
    fullest = max(samples, key=lambda sample: (_objects(sample), sample['inputs'][0].numel()))
    image, data_sample = fullest['inputs'], fullest['data_samples']
    height, width = max(height, image.shape[-2]), max(width, image.shape[-1])
    padding = (0, width - image.shape[-1], 0, height - image.shape[-2])
    data_sample.set_metainfo(dict(img_shape=(height, width)))
    for name, value in data_sample.items():
        # Objects' masks are padded by the model's preprocessor.
        if isinstance(value, PixelData):
            padded = {key: F.pad(item, padding, value=IGNORED_LABEL) for key, item in value.items()}
            data_sample.set_data({name: PixelData(metainfo=value.metainfo, **padded)})
    return WorstSample(F.pad(image, padding), data_sample, _objects(fullest))


def _crowded(dataset: Any) -> list[int]:  # noqa: ANN401
    """Return the indices of the samples with the most objects; none if the dataset does not say."""
    while not hasattr(dataset, 'get_data_info') and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    if not hasattr(dataset, 'get_data_info'):
        return []
    counts = [
        (len(dataset.get_data_info(index).get('instances') or ()), index)
        for index in _spread(len(dataset), MAX_COUNTED_SAMPLES)
    ]
    return [index for count, index in sorted(counts, reverse=True)[:CROWDED_SAMPLES] if count]


def _spread(size: int, number: int) -> list[int]:
    return sorted({int(index) for index in torch.linspace(0, size - 1, min(size, number)).tolist()})


def _common_shape(samples: Sequence[dict]) -> tuple[int, int]:
    shapes = [sample['inputs'].shape[-2:] for sample in samples]
    return max(height for height, _ in shapes), max(width for _, width in shapes)


def _is_upright(sample: dict) -> bool:
    height, width = sample['inputs'].shape[-2:]
    return height > width


def _objects(sample: dict) -> int:
    return len(getattr(sample['data_samples'], 'gt_instances', ()))
