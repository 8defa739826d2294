"""Looks for values that are not finite: in weights, gradients, images and what modules return."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from convnext_dense.training.processes.sharding import own_part

NORM_STATISTICS = ('running_mean', 'running_var')


def find_non_finite(model: nn.Module) -> list[str]:
    """Return the names of the weights and of the norms' statistics that hold NaN or infinite values.

    Of a sharded model, that is what this process holds.

    Args:
        model: The model. The device is waited for once if all values are finite.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> layer.bias.data[0] = torch.nan
        >>> find_non_finite(layer)
        ['bias']
    """
    tensors = dict(model.named_parameters())
    tensors |= {name: buffer for name, buffer in model.named_buffers() if name.endswith(NORM_STATISTICS)}
    names = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    own = [own_part(tensors[name].detach()) for name in names]
    # As in every healthy model, in a tenth of the time.
    if are_finite(own):
        return []
    finite = [tensor.isfinite().all() for tensor in own]
    return [name for name, is_finite in zip(names, torch.stack(finite).tolist(), strict=True) if not is_finite]


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Return whether all values of many tensors are finite. The device is waited for once.

    Sums of squares are finite only if all values are, and take few kernels. Only where one overflows, as it may for
    values above 1e19, each value is looked at. Of sharded tensors, it reads this process's part.

    Args:
        tensors: They are of floating point, on one device.

    Example:
        >>> are_finite([torch.tensor([1.0, -3e38]), torch.tensor([2.0])])
        True
        >>> are_finite([torch.tensor([1.0]), torch.tensor([torch.inf])])
        False
    """
    own = [own_part(tensor.detach()) for tensor in tensors]
    dense = [tensor.coalesce().values() if tensor.is_sparse else tensor for tensor in own]
    dense = [tensor for tensor in dense if tensor.numel()]
    if not dense:
        return True
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(dense)])
    return bool(norms.isfinite().all()) or all(bool(tensor.isfinite().all()) for tensor in dense)


def is_sharded(model: nn.Module) -> bool:
    """Return whether each process has a part of a model's parameters, as in FSDP.

    Args:
        model: The model, or its wrapper.

    Example:
        >>> is_sharded(nn.Linear(2, 2))
        False
    """
    is_wrapped = 'FullyShardedDataParallel' in type(model).__name__
    return is_wrapped or any(hasattr(parameter, 'to_local') for parameter in model.parameters())


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dicts.

    Args:
        value: What a module takes or returns.

    Example:
        >>> len(list(tensors_in(dict(maps=(torch.zeros(1), [torch.ones(2)])))))
        2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)


def is_non_finite(tensor: Tensor) -> bool:
    """Return whether a tensor holds NaN or infinite values.

    Example:
        >>> is_non_finite(torch.tensor([1.0, torch.inf])), is_non_finite(torch.tensor([1]))
        (True, False)
    """
    return tensor.is_floating_point() and not bool(tensor.detach().isfinite().all())


def is_a_mask(tensor: Tensor) -> bool:
    """Return whether all values that are not finite are minus infinity, as in the logits of what is left out.

    Example:
        >>> is_a_mask(torch.tensor([1.0, -torch.inf])), is_a_mask(torch.tensor([torch.nan]))
        (True, False)
    """
    tensor = tensor.detach()
    return bool((tensor.isfinite() | tensor.isneginf()).all())
