"""How large a checkpoint is, and whether the disk has room for it."""

import shutil
from collections.abc import Mapping

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from convnext_dense.training.checkpoints.optimizer_state import optimizers_of


def tensor_bytes(content: object) -> int:
    """Return how many bytes the tensors of a checkpoint take in its file. Those that share memory count once.

    Example:
        >>> tensor_bytes(dict(state_dict=dict(weight=torch.zeros(3)), meta=dict(epoch=1)))
        12
    """
    sizes: dict[int, int] = {}
    values = [content]
    while values:
        value = values.pop()
        if isinstance(value, DTensor):
            # Its parts are in several processes, and its file has all of them.
            sizes[id(value)] = value.numel() * value.element_size()
        elif isinstance(value, Tensor) and value.layout is torch.strided:
            storage = value.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, Mapping):
            values += value.values()
        elif isinstance(value, list | tuple):
            values += value
    return sum(sizes.values())


def expected_bytes(model: nn.Module, optim_wrapper: OptimWrapper | dict | None) -> int:
    """Return about how many bytes a checkpoint of a training will take.

    Before its first step, an optimizer has no state yet: Adam's relatives keep two averages of each weight, and those
    with a momentum one.

    Args:
        model: The model.
        optim_wrapper: What trains it.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> expected_bytes(layer, OptimWrapper(torch.optim.AdamW(layer.parameters())))
        48
    """
    return tensor_bytes(model.state_dict()) + sum(map(_state_bytes, optimizers_of(optim_wrapper)))


def free_bytes(folder: str) -> int | None:
    """Return the free bytes of a folder's disk, or None if they are not known, such as those of an address."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def megabytes(size: int) -> str:
    """Return a size as people write it.

    Example:
        >>> megabytes(3_700_000)
        '3.7 MB'
    """
    return f'{size / 1e6:,.1f} MB'


def _state_bytes(optimizer: Optimizer) -> int:
    if optimizer.state:
        return tensor_bytes([*optimizer.state.values()])
    size = 0
    for group in optimizer.param_groups:
        copies = 2 if 'betas' in group else int(bool(group.get('momentum')))
        size += copies * sum(param.nbytes for param in group['params'])
    return size
