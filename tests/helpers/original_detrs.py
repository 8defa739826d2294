"""Checkpoints as RT-DETR's and D-FINE's own repositories save them, made of our detectors."""

import re

import torch

# Our names, and the authors'. The first that matches counts.
NAMES = (
    (r'backbone\.model\.conv1\.([036])\.', lambda match: f'backbone.conv1.conv1_{int(match[1]) // 3 + 1}.conv.'),
    (r'backbone\.model\.conv1\.([14])\.', lambda match: f'backbone.conv1.conv1_{int(match[1]) // 3 + 1}.norm.'),
    (r'backbone\.model\.bn1\.', 'backbone.conv1.conv1_3.norm.'),
    (r'backbone\.model\.layer1\.(\d+)\.downsample\.1\.', r'backbone.res_layers.0.blocks.\1.short.conv.'),
    (r'backbone\.model\.layer1\.(\d+)\.downsample\.2\.', r'backbone.res_layers.0.blocks.\1.short.norm.'),
    (r'backbone\.model\.layer(\d)\.(\d+)\.(\w+)(?:\.([12]))?\.', lambda match: residual_name(*match.groups())),
    (r'backbone\.model\.', 'backbone.'),
    (r'neck\.input_projections\.(\d)\.0\.', r'encoder.input_proj.\1.conv.'),
    (r'neck\.input_projections\.(\d)\.1\.', r'encoder.input_proj.\1.norm.'),
    (r'neck\.layers\.', 'encoder.encoder.0.layers.'),
    (r'neck\.', 'encoder.'),
    (r'bbox_head\.input_projections\.(\d)\.0\.', r'decoder.input_proj.\1.conv.'),
    (r'bbox_head\.input_projections\.(\d)\.1\.', r'decoder.input_proj.\1.norm.'),
    (r'bbox_head\.query_selection\.enc_output\.0\.', 'decoder.enc_output.proj.'),
    (r'bbox_head\.query_selection\.enc_output\.1\.', 'decoder.enc_output.norm.'),
    (r'bbox_head\.query_selection\.', 'decoder.'),
    (r'bbox_head\.decoder\.cls_branches\.', 'decoder.dec_score_head.'),
    (r'bbox_head\.decoder\.reg_branches\.', 'decoder.dec_bbox_head.'),
    (r'bbox_head\.decoder\.(layers|lqe_layers)\.', r'decoder.decoder.\1.'),
    (r'bbox_head\.decoder\.', 'decoder.'),
    (r'bbox_head\.', 'decoder.'),
)
PARTS = {
    r'\.self_attn\.o_proj\.': '.self_attn.out_proj.',
    r'\.encoder_attn\.': '.cross_attn.',
    r'(layers\.\d+)\.mlp\.layers\.0\.': r'\1.linear1.',
    r'(layers\.\d+)\.mlp\.layers\.1\.': r'\1.linear2.',
    r'\.self_attn_layer_norm\.': '.norm1.',
    r'\.encoder_attn_layer_norm\.': '.norm2.',
    r'(encoder\.0\.layers\.\d+)\.final_layer_norm\.': r'\1.norm2.',
    r'\.final_layer_norm\.': '.norm3.',
}
# D-FINE's blocks; RT-DETRv2's have our names.
ELAN = {
    r'(_blocks\.\d)\.conv([23])\.': r'\1.cv\2.1.',
    r'(_blocks\.\d)\.conv([14])\.': r'\1.cv\2.',
    r'(_blocks\.\d)\.csp_rep1\.': r'\1.cv2.0.',
    r'(_blocks\.\d)\.csp_rep2\.': r'\1.cv3.0.',
    r'(downsample_convs\.\d)\.conv([12])\.': r'\1.0.cv\2.',
}


def residual_name(stage, block, module, number):
    place = f'backbone.res_layers.{int(stage) - 1}.blocks.{block}.'
    if module == 'downsample':
        return f'{place}short.conv.{"conv" if number == "1" else "norm"}.'
    branch = 'abc'[int(module[-1]) - 1]
    return f'{place}branch2{branch}.{"conv" if module.startswith("conv") else "norm"}.'


def original_name(name, elan):
    for pattern, original in NAMES:
        name, found = re.subn(f'^{pattern}', original, name)
        if found:
            break
    for pattern, original in (PARTS | (ELAN if elan else {})).items():
        name = re.sub(pattern, original, name)
    return name


def original_weights(detector):
    """Return a detector's weights by its authors' names."""
    elan = type(detector.bbox_head).__name__ == 'DFINEHead'
    weights = {original_name(name, elan): tensor for name, tensor in detector.state_dict().items()}
    for name in [name for name in weights if '.self_attn.q_proj.' in name]:
        parts = [weights.pop(name.replace('q_proj', f'{kind}_proj')) for kind in 'qkv']
        weights[name.replace('q_proj.', 'in_proj_')] = torch.cat(parts)
    # Among them are the numbers of points, and the cells of an image; D-FINE's bins have two names.
    for i in range(len(detector.bbox_head.decoder.layers)):
        weights[f'decoder.decoder.layers.{i}.cross_attn.num_points_scale'] = torch.ones(12)
    weights |= {'decoder.anchors': torch.rand(1, 9, 4), 'decoder.valid_mask': torch.ones(1, 9, 1, dtype=torch.bool)}
    if elan:
        weights |= {f'decoder.decoder.{name}': weights[f'decoder.{name}'] for name in ('up', 'reg_scale')}
    return weights
