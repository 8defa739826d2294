"""The names that RT-DETR's own ResNet-D has for timm's parameters. D-FINE's own HGNetV2 has timm's names."""

import re

STEM = re.compile(r'conv1\.conv1_(\d)\.(conv|norm)\.(\w+)')
# A shortcut with pooling has a level more of names.
SHORTCUT = r'short(?:\.conv(?=\.\w+\.))?'
BLOCK = re.compile(rf'res_layers\.(\d+)\.blocks\.(\d+)\.(?:branch2([abc])|{SHORTCUT})\.(conv|norm)\.(\w+)')


def to_timm(name: str) -> str:
    """Return timm's name for RT-DETR's `name` of a backbone's parameter.

    Args:
        name: Without the backbone's prefix.

    Example:
        >>> to_timm('res_layers.1.blocks.0.short.conv.norm.bias')
        'layer2.0.downsample.2.bias'
        >>> to_timm('conv1.conv1_2.conv.weight')
        'conv1.3.weight'
    """
    if match := STEM.fullmatch(name):
        place, kind = 3 * (int(match[1]) - 1), match[2]
        module = 'bn1' if (place, kind) == (6, 'norm') else f'conv1.{place + (kind == "norm")}'
        return f'{module}.{match[3]}'
    if match := BLOCK.fullmatch(name):
        stage, block, branch, kind, parameter = match.groups()
        if branch is None:
            module = 'downsample.1' if kind == 'conv' else 'downsample.2'
        else:
            module = f'{"conv" if kind == "conv" else "bn"}{"abc".index(branch) + 1}'
        return f'layer{int(stage) + 1}.{block}.{module}.{parameter}'
    return name
