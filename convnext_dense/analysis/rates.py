"""The learning rate and the weight decay of each part of a model."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta

MIXED_PRECISION = ('AmpOptimWrapper', 'BFloat16OptimWrapper')
LOGS = 'convnext_dense.optim.layer_decay.print_log'


@dataclass(frozen=True)
class RateGroup:
    """Parameters that are trained alike.

    Args:
        name: Their layer, such as ``layer_3``, or the part of the model that they are in.
        rate: Their learning rate, as the schedule has it at its highest.
        weight_decay: Their weight decay.
        params: How many numbers they are.
    """

    name: str
    rate: float
    weight_decay: float
    params: int


def rate_groups(cfg: Config) -> list[RateGroup]:
    """Return the learning rate and weight decay of each group of parameters, without allocating the model.

    Args:
        cfg: A config with a model and an ``optim_wrapper``.

    Raises:
        UsageError: If the model or the optimizer cannot be built.

    Example:
        >>> from convnext_dense.config import load_config
        >>> groups = rate_groups(load_config('mask-rcnn_convnext-demo_fpn_demo-coco'))
        >>> sorted({(group.rate, group.weight_decay) for group in groups})
        [(0.002, 0.0), (0.002, 0.01)]
    """
    if not cfg.get('optim_wrapper'):
        raise UsageError('the config has no optim_wrapper, so there are no learning rates.')
    try:
        model = build_on_meta(cfg.model, cfg.default_scope)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        with DefaultScope.overwrite_default_scope(cfg.default_scope), _quiet():
            wrapper = build_optim_wrapper(model, _in_float32(cfg.optim_wrapper))
    except UsageError:
        raise
    except Exception as error:  # a user's model may raise anything
        raise UsageError(build_sentence(error, cfg) or f'optim_wrapper: {message_of(error)}') from error
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    counts: dict[tuple[str, float, float], int] = {}
    for group in (group for one in wrappers for group in one.optimizer.param_groups):
        for parameter in group['params']:
            key = _name(group, names[id(parameter)]), group['lr'], group.get('weight_decay', 0.0)
            counts[key] = counts.get(key, 0) + parameter.numel()
    groups = [RateGroup(*key, params) for key, params in counts.items()]
    # Layers by their number, and heads after the backbone.
    groups.sort(key=lambda group: (_number(group.name), group.weight_decay))
    return groups + _frozen(model)


def _in_float32(wrapper: ConfigDict) -> ConfigDict:
    """Return a wrapper that has the same groups, and needs no GPU."""
    plain = copy.deepcopy(wrapper)
    if bare_type(plain.get('type')) in MIXED_PRECISION:
        plain.type = 'OptimWrapper'
        for name in ('loss_scale', 'dtype', 'use_fp64'):
            plain.pop(name, None)
    return plain


def _name(group: dict, parameter: str) -> str:
    if 'group_name' in group:
        return str(group['group_name']).partition('_decay')[0].partition('_no')[0]
    return parameter.partition('.')[0]


def _number(name: str) -> int:
    return int(name.rpartition('_')[2]) if name.startswith('layer_') else 0


def _frozen(model: nn.Module) -> list[RateGroup]:
    params = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    return [RateGroup('frozen', 0.0, 0.0, params)] if params else []


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what layer-wise decay logs of its groups off the table."""
    with mock.patch(LOGS, lambda *args, **kwargs: None), torch.device('meta'):
        yield
