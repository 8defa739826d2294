"""How far apart two forms of one sample are, and how many bytes a worker sends of one."""

from multiprocessing.reduction import ForkingPickler

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor


def difference(sample: object, other: object) -> float:
    """Return the largest difference between the numbers of two samples; infinity if they are not of one form.

    Args:
        sample: What a pipeline returned: tensors, arrays, data samples, boxes and masks, in dicts and lists.
        other: What another pipeline returned.

    Example:
        >>> import torch
        >>> difference(dict(inputs=torch.tensor([1, 2])), dict(inputs=torch.tensor([1, 4])))
        2.0
        >>> difference([1], [1, 1])
        inf
    """
    sample, other = _plain(sample), _plain(other)
    if isinstance(sample, dict) and isinstance(other, dict):
        if sample.keys() != other.keys():
            return float('inf')
        return max((difference(sample[key], other[key]) for key in sample), default=0.0)
    if isinstance(sample, list) and isinstance(other, list):
        if len(sample) != len(other):
            return float('inf')
        return max((difference(*pair) for pair in zip(sample, other, strict=True)), default=0.0)
    if isinstance(sample, np.ndarray) and isinstance(other, np.ndarray):
        # A label map of one byte a pixel is widened on the model's device.
        are_whole = sample.dtype.kind in 'iu' and other.dtype.kind in 'iu'
        if sample.shape != other.shape or not (are_whole or sample.dtype == other.dtype):
            return float('inf')
        return float(np.abs(sample.astype(np.float64) - other).max(initial=0))
    return 0.0 if sample == other else float('inf')


def sent_bytes(sample: object) -> dict[str, int]:
    """Return how many bytes a worker sends of a sample: through the pipe, and as tensors in shared memory.

    Args:
        sample: The sample.

    Example:
        >>> import torch
        >>> sizes = sent_bytes(dict(inputs=torch.zeros(1000)))
        >>> sizes['shared'], sizes['pipe'] < 1000
        (4000, True)
    """
    return dict(pipe=len(ForkingPickler.dumps(sample)), shared=sum(tensor.nbytes for tensor in _tensors(sample)))


def _plain(value: object) -> object:
    """Return a data sample as a dict, a tuple as a list, and tensors, boxes and masks as arrays."""
    if isinstance(value, BaseDataElement):
        return dict(value.items()) | dict(value.metainfo_items())
    if isinstance(value, tuple):
        return list(value)
    if hasattr(value, 'to_ndarray'):
        return value.to_ndarray()
    tensor = value if isinstance(value, Tensor) else getattr(value, 'tensor', None)
    return tensor.numpy() if isinstance(tensor, Tensor) else value


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, BaseDataElement):
        value = dict(value.items())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return _tensors(value.tensor) if isinstance(getattr(value, 'tensor', None), Tensor) else []
