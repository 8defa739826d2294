"""The names that transformers' ResNet-D and HGNetV2 have for timm's parameters."""

import re

STEMS = {
    '0.convolution': 'conv1.0',
    '0.normalization': 'conv1.1',
    '1.convolution': 'conv1.3',
    '1.normalization': 'conv1.4',
    '2.convolution': 'conv1.6',
    '2.normalization': 'bn1',
}
STEM = re.compile(r'embedder\.embedder\.(\d\.\w+)\.(\w+)')
LAYER = re.compile(r'encoder\.stages\.(\d+)\.layers\.(\d+)\.(layer\.(\d)|shortcut(?:\.1)?)\.(\w+)\.(\w+)')


def to_timm(name: str) -> str:
    """Return timm's name for transformers' `name` of a backbone's parameter.

    Args:
        name: Without the backbone's prefix.

    Example:
        >>> to_timm('encoder.stages.1.layers.0.shortcut.1.convolution.weight')
        'layer2.0.downsample.1.weight'
        >>> to_timm('encoder.stages.1.blocks.0.aggregation.1.normalization.bias')
        'stages.1.blocks.0.aggregation.1.bn.bias'
    """
    if match := STEM.fullmatch(name):
        return f'{STEMS[match[1]]}.{match[2]}'
    if match := LAYER.fullmatch(name):
        stage, block, _, number, kind, parameter = match.groups()
        convolution = kind == 'convolution'
        if number is None:
            module = 'downsample.1' if convolution else 'downsample.2'
        else:
            module = f'{"conv" if convolution else "bn"}{int(number) + 1}'
        return f'layer{int(stage) + 1}.{block}.{module}.{parameter}'
    name = re.sub(r'^embedder\.', 'stem.', name).removeprefix('encoder.')
    return name.replace('.convolution.', '.conv.').replace('.normalization.', '.bn.')
