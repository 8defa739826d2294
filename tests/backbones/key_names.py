"""Renames other libraries' ConvNeXt parameters to ours, for comparisons."""

import re

TIMM = (
    (r'^stem_(\d)\.', r'downsample_layers.0.\1.'),
    (r'^stages_(\d)\.downsample\.', r'downsample_layers.\1.'),
    (r'^stages_(\d)\.blocks\.(\d+)\.', r'stages.\1.\2.'),
    (r'\.conv_dw\.', '.dwconv.'),
    (r'\.mlp\.fc(\d)\.', r'.pwconv\1.'),
    (r'\.mlp\.grn\.weight$', '.grn.gamma'),
    (r'\.mlp\.grn\.bias$', '.grn.beta'),
)

# torchvision's features are stem, stage, downsample, stage, ... and a block is a Sequential.
TORCHVISION_LAYERS = {'0': 'dwconv', '2': 'norm', '3': 'pwconv1', '5': 'pwconv2'}


def from_timm(state_dict):
    """Rename timm's `features_only` ConvNeXt."""
    renamed = {}
    for name, tensor in state_dict.items():
        for pattern, ours in TIMM:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
    return renamed


def from_torchvision(state_dict):
    """Rename torchvision's ConvNeXt, without its classifier."""
    renamed = {}
    for name, tensor in state_dict.items():
        kind, *rest = name.split('.')
        if kind != 'features':
            continue
        stage, is_stage = divmod(int(rest[0]), 2)
        if not is_stage:
            renamed['.'.join(['downsample_layers', str(stage), *rest[1:]])] = tensor
        elif rest[2] == 'layer_scale':
            renamed[f'stages.{stage}.{rest[1]}.gamma'] = tensor.flatten()
        else:
            layer = TORCHVISION_LAYERS[rest[3]]
            renamed[f'stages.{stage}.{rest[1]}.{layer}.{rest[4]}'] = tensor
    return renamed
