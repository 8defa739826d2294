"""The names that transformers' checkpoints of RT-DETRv2 and D-FINE have for our parameters."""

import re

from convnext_dense.detectors.realtime_detr.published_backbones import to_timm

# Regular expressions of transformers' names, and ours. The first that matches counts.
NAMES = (
    (r'model\.encoder_input_proj\.', 'neck.input_projections.'),
    (r'model\.encoder\.(?:aifi|encoder)\.0\.layers\.', 'neck.layers.'),
    (r'model\.encoder\.', 'neck.'),
    (r'model\.decoder_input_proj\.', 'bbox_head.input_projections.'),
    (r'model\.(enc_output|enc_score_head|enc_bbox_head)\.', r'bbox_head.query_selection.\1.'),
    (r'model\.denoising_class_embed\.', 'bbox_head.denoising_class_embed.'),
    (r'(?:model\.decoder\.)?class_embed\.', 'bbox_head.decoder.cls_branches.'),
    (r'(?:model\.decoder\.)?bbox_embed\.', 'bbox_head.decoder.reg_branches.'),
    (r'model\.decoder\.', 'bbox_head.decoder.'),
)
# Inside of transformer layers. Those of transformers 4, which files have, and of transformers 5.
LAYERS = (
    (r'\.out_proj\.', '.o_proj.'),
    (r'(\.layers\.\d+)(?:\.mlp)?\.fc1\.', r'\1.mlp.layers.0.'),
    (r'(\.layers\.\d+)(?:\.mlp)?\.fc2\.', r'\1.mlp.layers.1.'),
)
# Follows from the number of points.
DROPPED = re.compile(r'\.encoder_attn\.(n|num)_points_scale$')
# TimmBackbone has timm's ResNet-D and HGNetV2.
BACKBONE = 'model.backbone.model.'
SIGNATURE = 'model.encoder_input_proj.'


def rename(name: str) -> str | None:
    """Return our name for transformers' `name`, or None if we have no such parameter.

    Example:
        >>> rename('model.decoder.layers.0.fc1.weight')
        'bbox_head.decoder.layers.0.mlp.layers.0.weight'
    """
    if DROPPED.search(name):
        return None
    if name.startswith(BACKBONE):
        return f'backbone.model.{to_timm(name.removeprefix(BACKBONE))}'
    for pattern, ours in NAMES:
        name, found = re.subn(f'^{pattern}', ours, name)
        if found:
            break
    for pattern, ours in LAYERS:
        name = re.sub(pattern, ours, name)
    return name


def rename_published(state_dict: dict, prefix: str = '') -> None:
    """Give a state dict of transformers our names; leave others as they are.

    Args:
        state_dict: It is changed in place.
        prefix: What the names begin with.

    Example:
        >>> weights = {'model.encoder_input_proj.0.0.weight': 1, 'class_embed.0.bias': 2}
        >>> rename_published(weights)
        >>> weights
        {'neck.input_projections.0.0.weight': 1, 'bbox_head.decoder.cls_branches.0.bias': 2}
    """
    if not any(name.startswith(prefix + SIGNATURE) for name in state_dict):
        return
    for name in [name for name in state_dict if name.startswith(prefix)]:
        renamed = rename(name.removeprefix(prefix))
        tensor = state_dict.pop(name)
        if renamed is not None:
            state_dict[prefix + renamed] = tensor
