"""The names that transformers' checkpoints of RT-DETRv2 and D-FINE have for our parameters."""

import re

from torch import Tensor

from convnext_dense.detectors.realtime_detr.published.substitutions import substitute
from convnext_dense.detectors.realtime_detr.published.transformers_backbones import to_timm

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


def rename(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Return a tensor by our name for transformers' `name`, or nothing if we have no such parameter.

    Example:
        >>> import torch
        >>> rename('model.decoder.layers.0.fc1.weight', torch.tensor(1))
        {'bbox_head.decoder.layers.0.mlp.layers.0.weight': tensor(1)}
    """
    if DROPPED.search(name):
        return {}
    if name.startswith(BACKBONE):
        return {f'backbone.model.{to_timm(name.removeprefix(BACKBONE))}': tensor}
    return {substitute(name, NAMES, LAYERS): tensor}
