"""The names that the authors' checkpoints of RT-DETRv2 and D-FINE have for our parameters."""

import re

from torch import Tensor

from convnext_dense.detectors.realtime_detr.published.original_backbones import to_timm
from convnext_dense.detectors.realtime_detr.published.substitutions import substitute

HEAD = 'bbox_head.query_selection.'
# Regular expressions of their names, and ours. The first that matches counts.
NAMES = (
    (r'encoder\.input_proj\.(\d+)\.conv\.', r'neck.input_projections.\1.0.'),
    (r'encoder\.input_proj\.(\d+)\.norm\.', r'neck.input_projections.\1.1.'),
    (r'encoder\.encoder\.0\.layers\.(\d+)\.norm2\.', r'neck.layers.\1.final_layer_norm.'),
    (r'encoder\.encoder\.0\.layers\.', 'neck.layers.'),
    (r'encoder\.downsample_convs\.(\d+)\.0\.', r'neck.downsample_convs.\1.'),
    (r'encoder\.', 'neck.'),
    (r'decoder\.input_proj\.(\d+)\.conv\.', r'bbox_head.input_projections.\1.0.'),
    (r'decoder\.input_proj\.(\d+)\.norm\.', r'bbox_head.input_projections.\1.1.'),
    (r'decoder\.enc_output\.proj\.', f'{HEAD}enc_output.0.'),
    (r'decoder\.enc_output\.norm\.', f'{HEAD}enc_output.1.'),
    (r'decoder\.(enc_score_head|enc_bbox_head)\.', rf'{HEAD}\1.'),
    (r'decoder\.denoising_class_embed\.', 'bbox_head.denoising_class_embed.'),
    (r'decoder\.dec_score_head\.', 'bbox_head.decoder.cls_branches.'),
    (r'decoder\.dec_bbox_head\.', 'bbox_head.decoder.reg_branches.'),
    (r'decoder\.(?:decoder\.)?', 'bbox_head.decoder.'),
)
# Inside of transformer layers, and of D-FINE's blocks.
PARTS = (
    (r'\.self_attn\.out_proj\.', '.self_attn.o_proj.'),
    (r'\.cross_attn\.', '.encoder_attn.'),
    (r'\.linear1\.', '.mlp.layers.0.'),
    (r'\.linear2\.', '.mlp.layers.1.'),
    (r'\.norm1\.', '.self_attn_layer_norm.'),
    (r'\.norm2\.', '.encoder_attn_layer_norm.'),
    (r'\.norm3\.', '.final_layer_norm.'),
    (r'\.cv([23])\.1\.', r'.conv\1.'),
    (r'\.cv2\.0\.', '.csp_rep1.'),
    (r'\.cv3\.0\.', '.csp_rep2.'),
    (r'\.cv(\d)\.', r'.conv\1.'),
)
# Follows from the number of points, and from the size of the images.
DROPPED = re.compile(r'.*\.num_points_scale|decoder\.(anchors|valid_mask)')
PACKED = re.compile(r'(.*\.self_attn\.)in_proj_(weight|bias)')
BACKBONE = 'backbone.'
SIGNATURE = 'decoder.enc_score_head.'


def rename(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Return a tensor by our name for the authors' `name`, or several if we have it in parts, or none.

    Example:
        >>> import torch
        >>> rename('decoder.dec_score_head.0.bias', torch.tensor(1))
        {'bbox_head.decoder.cls_branches.0.bias': tensor(1)}
    """
    if DROPPED.fullmatch(name):
        return {}
    if name.startswith(BACKBONE):
        return {f'{BACKBONE}model.{to_timm(name.removeprefix(BACKBONE))}': tensor}
    name = substitute(name, NAMES, PARTS)
    if match := PACKED.fullmatch(name):
        return {f'{match[1]}{kind}_proj.{match[2]}': part for kind, part in zip('qkv', tensor.chunk(3), strict=True)}
    return {name: tensor}
