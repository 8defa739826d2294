"""Layer-wise learning-rate decay as an optimizer-wrapper constructor."""

from collections.abc import Callable

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from convnext_dense.backbones.base import layer_depth
from convnext_dense.optim.layer_ids import convnext_depths, layer_ids, stage_ids
from convnext_dense.registry import OPTIM_WRAPPER_CONSTRUCTORS
from convnext_dense.wording import counted

DECAY_TYPES = ('layer_wise', 'stage_wise')
REMEDY = 'give it a method get_layer_depth(param_name, prefix) -> (layer_id, num_layers).'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    r"""Gives a backbone's earlier layers a lower learning rate.

    If the backbone has n layers, the stem has id 0 and the heads have id n + 1. A parameter of id i trains at

    .. math:: \mathrm{lr}_i = \mathrm{lr} \cdot \mathrm{rate}^{\,n + 1 - i}

    For ConvNeXt, and for any backbone whose parameters have the official ConvNeXt's names, the groups equal those of
    ``LearningRateDecayOptimizerConstructor`` of mmdet and mmseg. Any other backbone may give the ids by
    ``get_layer_depth(param_name, prefix) -> (id, n + 2)`` (mmpretrain's protocol). If it does not, every block is a
    layer; blocks are recognized by the names of the parameters.

    1-D parameters, biases, and the parameters of GRN get no weight decay, unless `paramwise_cfg` sets it. If the
    backbone has a method ``no_weight_decay()`` (timm's protocol), it decides which other parameters get none.

    Args:
        optim_wrapper_cfg: As for mmengine's ``DefaultOptimWrapperConstructor``; the optimizer's ``lr`` is required.
        paramwise_cfg: All keys of ``DefaultOptimWrapperConstructor``, whose multipliers apply on top, and

            - ``decay_rate`` (float): The rate, above 0 and at most 1.
            - ``decay_type`` (str): 'layer_wise' (default), or 'stage_wise', in which a layer is a whole stage.
            - ``num_layers`` (int): n. Defaults to the backbone's own, which a layer-wise n must equal. For
              'stage_wise' it sets the distance of the last stage from the heads, as in mmseg.

    Raises:
        ValueError: If a key has a value that is not allowed, or the model has no backbone with recognizable layers.

    Reference:
        `BEiT: BERT Pre-Training of Image Transformers <https://arxiv.org/abs/2106.08254>`_ and the official ConvNeXt
        repository

    Example:
        >>> import torch
        >>> from convnext_dense.backbones import ConvNeXt
        >>> model = torch.nn.ModuleDict(dict(backbone=ConvNeXt('atto'), head=torch.nn.Linear(320, 1)))
        >>> constructor = LayerDecayOptimWrapperConstructor(
        ...     dict(optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05)), dict(decay_rate=0.5))
        >>> [round(group['lr_scale'], 4) for group in constructor(model).optimizer.param_groups][:2]
        [0.0078, 0.0078]
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        rate = self.paramwise_cfg.get('decay_rate')
        if not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise ValueError(f'paramwise_cfg.decay_rate must be above 0 and at most 1; got {rate!r}.')
        decay_type = self.paramwise_cfg.get('decay_type', 'layer_wise')
        if decay_type not in DECAY_TYPES:
            raise ValueError(f'paramwise_cfg.decay_type must be one of {", ".join(DECAY_TYPES)}; got {decay_type!r}.')
        if self.base_lr is None:
            raise ValueError('optimizer.lr must be given: learning-rate decay multiplies it.')

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Append the model's parameter groups to `params`. Frozen parameters are in no group.

        Args:
            params: A list that is filled with groups of ``params``, ``param_names``, ``lr``, ``lr_scale``,
                ``weight_decay`` and ``group_name``.
            module: The model, or a child of it when mmengine's constructor recurses.
            prefix: The child's name.
            is_dcn_module: Whether the child is part of a deformable convolution.
        """
        if prefix:
            super().add_params(params, module, prefix, is_dcn_module)
            return
        singles: list[dict] = []
        super().add_params(singles, module)
        names = {id(param): name for name, param in module.named_parameters()}
        ids, head_id = self._layer_ids(module)
        self._not_decayed = _not_decayed(module)
        groups: dict[str, dict] = {}
        for single in singles:
            # A parameter that several modules share comes once per module; `pop` keeps the first.
            name = names.pop(id(single['params'][0]), None)
            if name is not None:
                self._add_to_group(groups, single, name, ids.get(name, head_id), head_id)
        for group in groups.values():
            print_log(
                f'{group["group_name"]}: lr {group["lr"]:.3g}, weight decay {group.get("weight_decay", 0):.3g}, '
                f'{counted(len(group["params"]), "parameter")}',
                logger='current',
            )
        params.extend(groups.values())

    def _add_to_group(self, groups: dict[str, dict], single: dict, name: str, layer_id: int, head_id: int) -> None:
        """Add a parameter, which mmengine put in a group of its own, to the group of its layer and settings."""
        settings = {key: value for key, value in single.items() if key != 'params'}
        is_custom = bool(settings.keys() - {'lr', 'weight_decay'})
        scale = self.paramwise_cfg['decay_rate'] ** (head_id - layer_id)
        settings['lr_scale'] = scale * (settings.get('lr', self.base_lr) / self.base_lr if self.base_lr else 1.0)
        settings['lr'] = settings['lr_scale'] * self.base_lr
        decay = 'decay'
        if self.base_wd is not None:
            decay_is_set = ('decay_mult' if is_custom else 'weight_decay') in settings
            if not decay_is_set:
                settings['weight_decay'] = 0.0 if name in self._not_decayed else self.base_wd
            decay = 'decay' if settings['weight_decay'] else 'no_decay'
        group_name = f'layer_{layer_id}_{decay}'
        key = f'{group_name} {sorted(settings.items())}'
        if key not in groups:
            namesakes = sum(other.startswith(f'{group_name} ') for other in groups)
            groups[key] = dict(
                params=[],
                param_names=[],
                group_name=f'{group_name}_{namesakes}' if namesakes else group_name,
                **settings,
            )
        groups[key]['params'].append(single['params'][0])
        groups[key]['param_names'].append(name)

    def _layer_ids(self, model: nn.Module) -> tuple[dict[str, int], int]:
        """Return the layer id of each of the backbone's parameters, and the heads' id."""
        backbones = _backbones(model)
        if not backbones:
            raise ValueError(f"{type(model).__name__} has no module named 'backbone'; learning-rate decay needs one.")
        decay_type = self.paramwise_cfg.get('decay_type', 'layer_wise')
        num_layers = self.paramwise_cfg.get('num_layers')
        per_backbone = [
            backbone_layer_ids(module, prefix, decay_type, num_layers) for prefix, module in backbones.items()
        ]
        head_id = max(head for _, head in per_backbone)
        ids = {
            name: layer_id + head_id - head
            for backbone_ids, head in per_backbone
            for name, layer_id in backbone_ids.items()
        }
        return ids, head_id


def backbone_layer_ids(
    backbone: nn.Module, prefix: str = '', decay_type: str = 'layer_wise', num_layers: int | None = None
) -> tuple[dict[str, int], int]:
    """Return the layer id of each of a backbone's parameters, and the id of the heads that follow it.

    Args:
        backbone: The backbone.
        prefix: What the names of its parameters begin with in the model.
        decay_type: 'layer_wise' or 'stage_wise'.
        num_layers: As in `LayerDecayOptimWrapperConstructor`.

    Raises:
        ValueError: If `num_layers` does not fit the backbone, or its layers or its downsampling cannot be recognized.

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> ids, head_id = backbone_layer_ids(ConvNeXt('atto'))
        >>> ids['stages.3.0.gamma'], head_id
        (6, 7)
    """
    names = [name for name, _ in backbone.named_parameters()]
    ids, own_head = {}, None
    if depths := _own_depths(backbone, names, prefix):
        ids = {name: layer_id for name, (layer_id, _) in depths.items()}
        own_head = next(iter(depths.values()))[1] - 1
    if decay_type == 'stage_wise':
        ids, stages = _by_names(stage_ids, backbone, names)
        head_id = num_layers + 1 if num_layers else own_head or stages + 1
        if head_id <= stages:
            raise ValueError(
                f'paramwise_cfg.num_layers must be at least {stages}, the stages of {type(backbone).__name__}; '
                f'got {num_layers}.'
            )
        ids = {name: head_id if stage > stages else stage for name, stage in ids.items()}
    else:
        if own_head is None:
            ids, layers = _by_names(layer_ids, backbone, names)
            own_head = layers + 1
        head_id = own_head
        if num_layers not in (None, head_id - 1):
            raise ValueError(
                f'paramwise_cfg.num_layers is {num_layers}, but this {type(backbone).__name__} has {head_id - 1} '
                'layers; leave num_layers out, or give that.'
            )
    if len(set(ids.values()) - {0, head_id}) == 0:
        raise ValueError(
            f'{type(backbone).__name__}: its layers cannot be recognized by the names of its parameters; {REMEDY}'
        )
    return {prefix + name: layer_id for name, layer_id in ids.items()}, head_id


def _own_depths(backbone: nn.Module, names: list[str], prefix: str) -> dict[str, tuple[int, int]]:
    """Return the layer id and the number of layers of each parameter, or nothing for a backbone without a protocol."""
    if hasattr(backbone, 'get_layer_depth'):
        return {name: backbone.get_layer_depth(prefix + name, prefix) for name in names}
    depths = convnext_depths(names)
    return {name: layer_depth(depths, name) for name in names} if depths else {}


def _by_names(
    number: Callable[[list[str]], tuple[dict[str, int], int]], backbone: nn.Module, names: list[str]
) -> tuple[dict[str, int], int]:
    try:
        return number(names)
    except ValueError as error:
        raise ValueError(f'{type(backbone).__name__}: {error}; {REMEDY}') from error


def _not_decayed(model: nn.Module) -> set[str]:
    """Return the names of the parameters that get no weight decay unless `paramwise_cfg` sets it."""
    # GRN's gamma and beta are (1, 1, 1, C).
    names = {
        name
        for name, param in model.named_parameters()
        if param.ndim <= 1 or name.endswith(('.bias', '.gamma', '.beta'))
    }
    for before, backbone in _backbones(model).items():
        if hasattr(backbone, 'no_weight_decay'):
            own = {before + name: param.ndim for name, param in backbone.named_parameters()}
            names -= {name for name, ndim in own.items() if ndim > 1}
            names |= {before + name for name in backbone.no_weight_decay()}
    return names


def _backbones(model: nn.Module) -> dict[str, nn.Module]:
    """Return the model's backbones by the prefix of their parameters' names."""
    return {f'{name}.': module for name, module in model.named_modules() if name.split('.')[-1] == 'backbone'}
