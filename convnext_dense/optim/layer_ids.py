"""Finds the depth of a backbone's parameters by their names, for backbones without `get_layer_depth`."""

import re
from collections.abc import Iterable

# The indices that open the names of a backbone's blocks: `layer1.0.` of ResNet, `stages.0.blocks.1.` of Swin,
# `layers.3.` of ViT, `layers.0.1.2.` of MiT and PVT, `stage2.0.` of HRNet and CSPDarknet, `block1.0.` of MSCAN,
# `conv_res_block1.` of Darknet, `features.7.` of VGG; TimmBackbone's follow `model.`.
BLOCK = re.compile(
    r'(?:model\.)?(?:stages?|layers?|blocks?|conv_res_block|features|hourglass_modules)\.?'
    r'(\d+(?:\.(?:blocks\.)?\d+)*)\.'
)


def layer_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the layers of a backbone: the stem is 0, then every block is a layer, and the end is one more.

    Args:
        names: The names of all its parameters, in the order of `named_parameters`.

    Returns:
        The layer id of each name, and the number of blocks. Parameters between two blocks belong to the earlier one.

    Example:
        >>> layer_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 2, 'norm.weight': 3}, 2)
    """
    names = list(names)
    indices = [_block_indices(name) for name in names]
    # A stage's blocks have the most indices. Modules next to them have fewer: `stages.0.downsample.`, or a norm,
    # `layers.0.2.`.
    most: dict[int, int] = {}
    for index in filter(None, indices):
        most[index[0]] = max(most.get(index[0], 0), len(index))
    units = [index if index and len(index) == most[index[0]] else () for index in indices]
    return _number(names, units, indices)


def stage_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the stages of a backbone, as `layer_ids` does its layers.

    Example:
        >>> stage_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 1, 'norm.weight': 2}, 1)
    """
    names = list(names)
    indices = [_block_indices(name) for name in names]
    return _number(names, [index[:1] for index in indices], indices)


def _number(
    names: list[str], units: list[tuple[int, ...]], indices: list[tuple[int, ...]]
) -> tuple[dict[str, int], int]:
    """Number the units from 1 by rising indices; a name without a unit belongs to the unit before it.

    After the last unit, only names within a stage belong to it.
    """
    order = {unit: i + 1 for i, unit in enumerate(sorted(set(units) - {()}))}
    end = max((i + 1 for i, unit in enumerate(units) if unit), default=0)
    ids: dict[str, int] = {}
    current = 0
    for i, name in enumerate(names):
        current = order.get(units[i], current)
        is_outside = i >= end and not indices[i]
        ids[name] = len(order) + 1 if is_outside else current
    return ids, len(order)


def _block_indices(name: str) -> tuple[int, ...]:
    match = BLOCK.match(name)
    return tuple(map(int, re.findall(r'\d+', match[1]))) if match else ()
