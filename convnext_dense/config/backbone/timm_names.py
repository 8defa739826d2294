"""Turns the name of a timm model into the config of a `TimmBackbone`."""

from collections.abc import Sequence

from timm import get_pretrained_cfg

from convnext_dense.backbones.timm_backbone import TimmBackbone, timm_weights
from convnext_dense.backbones.timm_description import describe
from convnext_dense.config.backbone.names import IMAGENET_NORMALIZATION, BackboneParts, parameters_of
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE


def timm_parts(text: str, name: str, arguments: dict, strides: Sequence[int]) -> BackboneParts:
    """Return the parts of a timm model's config.

    Args:
        text: The whole string that names the backbone, for messages.
        name: timm's name, such as 'resnet50' or 'resnet50.a1_in1k'.
        arguments: Arguments of `TimmBackbone` and of timm's model.
        strides: The strides of the wanted maps in pixels.

    Raises:
        UsageError: If timm has no such model, or the model has no such maps.

    Example:
        >>> parts = timm_parts('timm/resnet18', 'resnet18', {}, (8, 16))
        >>> parts.config
        {'type': 'convnext_dense.TimmBackbone', 'model_name': 'resnet18', 'out_indices': [1, 2]}
        >>> parts.weights['init_cfg']
        {'type': 'Pretrained', 'checkpoint': 'timm://resnet18.a1_in1k'}
    """
    if 'out_indices' in arguments:
        raise UsageError(f'backbone {text}: out_indices are those that the config needs, {list(strides)} as strides.')
    parameters = parameters_of(TimmBackbone)
    own = parameters - {'model_args', 'model_name'}
    model_args = {key: value for key, value in arguments.items() if key not in own}
    in_channels = {'in_chans': arguments['in_channels']} if 'in_channels' in arguments else {}
    try:
        described = describe(name, {**in_channels, **model_args}, strides)
    except ValueError as error:
        raise UsageError(f'backbone {text}: {error}') from error
    out_indices = [(stride // 4).bit_length() - 1 for stride in strides]
    config: dict = dict(type=f'{SCOPE}.TimmBackbone', model_name=name, out_indices=out_indices)
    if model_args:
        config['model_args'] = model_args
    if described.has_layer_norm and not described.is_plain:
        config['output_norm'] = True
    weights: dict = {}
    if source := timm_weights(name):
        weights['init_cfg'] = dict(type='Pretrained', checkpoint=source)
        if described.has_batch_norm:
            weights['norm_eval'] = True
    missing = {'drop_path_rate': not described.has_drop_path, 'with_cp': not described.can_checkpoint}
    cfg = get_pretrained_cfg(name)
    return BackboneParts(
        config,
        weights,
        {key: value for key, value in arguments.items() if key in own},
        frozenset(key for key in parameters if not missing.get(key)),
        (cfg.mean, cfg.std) if cfg else IMAGENET_NORMALIZATION,
    )
