"""Shards a model, its gradients and its optimizer's state over processes, by PyTorch's FSDP2.

Parameters keep their names and become DTensors. What is written and read is whole: a checkpoint of sharded training is
one of any other, and may be resumed with another number of processes, or without sharding.
"""

from collections.abc import Set
from typing import Any

from mmengine.dist import is_main_process
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.distributed import get_world_size
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from convnext_dense.backbones.base import ResidualBlock

# The attribute of a sharded model that names its parameters without a dimension.
SCALARS = '_scalar_parameters'


def shard(model: nn.Module) -> None:
    """Shard a model over all processes, block by block if its backbone is one of this package.

    Args:
        model: The model, with weights that are the same in all processes. It is changed.
    """
    mesh = init_device_mesh(next(model.parameters()).device.type, (get_world_size(),))
    vars(model)[SCALARS] = _give_scalars_a_dimension(model)
    for module in model.modules():
        # A state dict of whole tensors is cut into this process's parts where each module loads its own.
        module.register_load_state_dict_pre_hook(_cut_weights)
    for module in list(model.modules()):
        if isinstance(module, ResidualBlock):
            fully_shard(module, mesh=mesh)
    # By default, what is in no block would stay whole after a validation, and the optimizer's parameters out of reach.
    fully_shard(model, mesh=mesh, reshard_after_forward=True)


def whole_weights(model: nn.Module) -> dict[str, Any]:
    """Return a sharded model's state dict of whole tensors in the first process. All processes call it together.

    Args:
        model: The model.
    """
    state = whole(model.state_dict())
    for name in scalars_of(model):
        state[name] = _without_dimension(state[name])
    return state


def whole_states(optim_wrapper: OptimWrapper, scalars: Set[int]) -> dict[str, Any]:
    """Return an optimizer's state dict of whole tensors in the first process. All processes call it together.

    Args:
        optim_wrapper: Wraps the optimizer of a sharded model.
        scalars: As `numbers_of_scalars` returns them.
    """
    state = whole(optim_wrapper.state_dict())
    for number in scalars & state['state'].keys():
        state['state'][number] = {name: _without_dimension(value) for name, value in state['state'][number].items()}
    return state


def numbers_of_scalars(optimizer: Optimizer, model: nn.Module) -> set[int]:
    """Return the numbers by which an optimizer's state dict names the parameters of `scalars_of`.

    Args:
        optimizer: The optimizer.
        model: The model that it trains.

    Example:
        >>> import torch
        >>> layer = nn.Linear(2, 2)
        >>> numbers_of_scalars(torch.optim.SGD(layer.parameters()), layer)
        set()
    """
    scalars = {id(parameter) for name, parameter in model.named_parameters() if name in scalars_of(model)}
    parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
    return {number for number, parameter in enumerate(parameters) if id(parameter) in scalars}


def scalars_of(model: nn.Module) -> list[str]:
    """Return the names of the parameters that have no dimension if the model is not sharded.

    Args:
        model: A model, sharded or not.

    Example:
        >>> scalars_of(nn.Linear(2, 2))
        []
    """
    return vars(model).get(SCALARS, [])


def whole(value: Any) -> Any:  # noqa: ANN401 - a tree of any values
    """Return a tree of values in which sharded tensors are whole, on the CPU. All processes call it together.

    Args:
        value: A state dict, of a model or an optimizer.

    Returns:
        The tree in the first process. In the others, it lacks what was sharded.
    """
    if isinstance(value, dict):
        return type(value)((key, whole(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return type(value)(whole(part) for part in value)
    if isinstance(value, DTensor):
        # Held by one process alone, and one at a time by the others.
        tensor = value.full_tensor()
        return tensor.cpu() if is_main_process() else None
    return value


def cut_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, if the parameter that it belongs to is sharded.

    Args:
        parameter: The parameter.
        tensor: A tensor; one of another shape stays.
    """
    if not tensor.dim() and parameter.shape == (1,):
        tensor = tensor.reshape(1)
    if not isinstance(parameter, DTensor) or isinstance(tensor, DTensor) or tensor.shape != parameter.shape:
        return tensor
    tensor = tensor.to(parameter.device)
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)


def own_part(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor.

    Args:
        tensor: A tensor, sharded or not.

    Example:
        >>> import torch
        >>> own_part(torch.ones(2))
        tensor([1., 1.])
    """
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gradient_of_part(parameter: Tensor, part: Tensor) -> Tensor | None:
    """Return a gradient of which `own_part` returned this process's part; None if it was that of other parts.

    Args:
        parameter: The parameter.
        part: The part.

    Example:
        >>> import torch
        >>> gradient_of_part(torch.zeros(2), torch.ones(2))
        tensor([1., 1.])
    """
    own = own_part(parameter)
    if part.shape != own.shape:
        return None
    part = part.to(own)
    if not isinstance(parameter, DTensor):
        return part
    mesh, placements = parameter.device_mesh, parameter.placements
    return DTensor.from_local(part, mesh, placements, shape=parameter.shape, stride=parameter.stride())


def cut_loaded_states(optimizer: Optimizer) -> None:
    """Make an optimizer take a state dict of whole tensors.

    Args:
        optimizer: The optimizer of a sharded model, which is changed.
    """
    optimizer.register_load_state_dict_pre_hook(_cut_states)


def _give_scalars_a_dimension(model: nn.Module) -> list[str]:
    """Make parameters without a dimension, which cannot be sharded, ones of one element; return their names."""
    names = []
    for prefix, module in model.named_modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.dim():
                new = nn.Parameter(parameter.detach().reshape(1), requires_grad=parameter.requires_grad)
                module.register_parameter(name, new)
                names.append(f'{prefix}.{name}'.lstrip('.'))
    return names


def _without_dimension(value: Any) -> Any:  # noqa: ANN401 - of an optimizer's state
    return value.reshape(()) if isinstance(value, Tensor) and value.numel() == 1 else value


def _cut_weights(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *others: object) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if prefix + name in state_dict:
            state_dict[prefix + name] = cut_like(parameter, state_dict[prefix + name])


def _cut_states(optimizer: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
    numbers = [number for group in state_dict['param_groups'] for number in group['params']]
    # Another number of parameters is for the optimizer to say.
    state = dict(state_dict['state'])
    for number, parameter in zip(numbers, parameters, strict=False):
        if number in state:
            state[number] = {
                name: cut_like(parameter, value) if isinstance(value, Tensor) and name != 'step' else value
                for name, value in state[number].items()
            }
    return {**state_dict, 'state': state}
